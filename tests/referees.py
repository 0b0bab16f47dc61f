"""What a referee is shown in tests: healthy trainings, and what is wrong with them."""

from gandem.referee.referee import Referee, Ruling

DIALS = {"learning rate": 1.0, "gamma": 1.0, "augmentation": 0.0}


def signals(step: int = 0, **changes: float) -> dict[str, float]:
    """What a healthy training shows; its weights move."""
    return {
        "discriminator/adversarial": 0.5,
        "discriminator/r1": 0.2,
        "discriminator/gradient": 1.0,
        "generator/gradient": 0.5,
        "discriminator/win_rate": 0.75,
        "discriminator/guessing": 0.69,
        "generator/adversarial": 1.2,
        "generator/size": 10.0 + 0.01 * step,
        "discriminator/size": 12.0 + 0.01 * step,
        "skipped": 0.0,
    } | {name.replace("__", "/"): value for name, value in changes.items()}


def examined(distance: float, **changes: float) -> dict[str, float]:
    """What a quick judgement of a healthy training shows."""
    return {"distance": distance, "spread": 0.95, "sensitivity": 0.95, "raw_distance": 0.2, "gap": 0.0} | changes


def judge_all(referee: Referee, distances: list[float], **changes: float) -> list[Ruling]:
    """Judgements at equal steps from 5 % of the budget on."""
    count = max(len(distances), 20)
    return [
        referee.judged(1000 * number, number / count, examined(distance, **changes), DIALS)
        for number, distance in enumerate(distances, 1)
    ]
