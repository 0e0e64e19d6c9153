"""List a draft's open questions, with the likeliest answers."""

from collections.abc import Mapping, Sequence

from components.profiling.answers import Answers, Question
from components.profiling.roles.actions import ProposedAction
from components.profiling.roles.candidate_forms import EventFile, FormGuess
from components.profiling.roles.file_uses import FileUseGuess

DOUBTFUL = 0.45  # guesses with a lower score become questions


def use_questions(uses: Sequence[FileUseGuess], answers: Answers) -> list[Question]:
    """Ask for the use of files where it is unclear."""
    return [
        Question(
            ("use", guess.group.name),
            f"What does {guess.group.name} hold? ({', '.join(list(guess.group.profiles)[:6])})",
            (guess.use, *(use for use in ("events", "items", "users", "ignore") if use != guess.use)),
            guess.use,
            f"--file {guess.group.name}=USE",
        )
        for guess in uses
        if guess.score < DOUBTFUL and guess.group.name not in answers.uses
    ]


def event_questions(files: Sequence[EventFile], actions: Mapping[str, ProposedAction], form: FormGuess, answers: Answers) -> list[Question]:
    """Ask about roles that two columns fit or none well, dates of ambiguous order, and unknown action words."""
    asked: list[Question] = []
    for file in files:
        for role in ("time", "user", "item"):
            score = file.roles.chosen.get(role)
            rivals = file.roles.rivals.get(role, ())
            if score is None or score.score == 1.0 or (score.score >= DOUBTFUL and not rivals):
                continue
            others = [name for name in (*rivals, *file.group.profiles) if name != score.column]
            asked.append(
                Question(
                    ("role", file.group.name, role),
                    f"{file.group.name}: which column is the {role}? ({score.why})",
                    (score.column, *dict.fromkeys(others)),
                    score.column,
                    f"--role {file.group.name}:{role}=COLUMN",
                )
            )
        time = file.roles.column("time")
        notation = file.group.profiles[time].time if time else None
        if notation and notation.other_format and answers.day_first is None:
            example = file.group.profiles[time or ""].values[0]
            first = "day" if notation.format.find("%d") < notation.format.find("%m") else "month"
            other = "month" if first == "day" else "day"
            asked.append(
                Question(
                    ("day_first",),
                    f"{file.group.name}: in {example}, which comes first?",
                    (first, other),
                    None,
                    "--day-first or --month-first",
                )
            )
    for action in actions.values():
        if action.score < DOUBTFUL and form.form != "rows":
            word = action.values[0] if action.values else files[0].group.name
            default = f"{action.name}:{action.gain:g}"
            meant = tuple(each for each in ("purchase:4", "cart:2", "click:1", "view:0", "impression:0") if each != default)
            asked.append(
                Question(
                    ("action", word),
                    f"What does the action {word!r} mean? NAME:GAIN",
                    (default, *meant),
                    default,
                    f"--action NAME={word}:GAIN",
                )
            )
    return asked
