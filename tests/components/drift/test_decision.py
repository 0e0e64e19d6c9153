from components.drift.decision import Action, Reason, decide, parse_decision


def reason(action: Action, subject: str = "price") -> Reason:
    return Reason(action=action, kind="broken feature", subject=subject, text=f"{subject} is 0 in 100 % of rows.")


def test_no_reason_asks_for_nothing() -> None:
    assert decide([]).action is Action.NOTHING


def test_the_most_urgent_reason_decides_and_comes_first() -> None:
    decision = decide([reason(Action.RETRAIN_WARM), reason(Action.FREEZE, "brand"), reason(Action.RETRAIN_WARM, "tags")])
    assert decision.action is Action.FREEZE
    assert [each.subject for each in decision.reasons] == ["brand", "price", "tags"]


def test_a_decision_survives_json() -> None:
    decision = decide([reason(Action.RETRAIN_FULL), reason(Action.RETRAIN_WARM)])
    assert parse_decision(decision.to_json()) == decision
