"""Print a plan on the terminal: by metric and duration, the least effect that is found and the shoppers that an effect needs."""

from rich.console import Console
from rich.table import Table

from components.experiment.plan import ExperimentPlan


def print_plan(plan: ExperimentPlan, console: Console) -> None:
    """Print the plan."""
    console.print(
        f"{plan.arms} arms on {100 * plan.traffic:g} % of the shoppers; alpha {plan.alpha:g} over all treatments, power {plan.power:g}.",
        highlight=False,
    )
    table = Table(title="Least relative effect that is found", title_justify="left", header_style="bold")
    needed = f"shoppers for {100 * plan.asked_effect:g} %"
    columns = ("metric", "days", "shoppers", "mean", "least effect", "without CUPED", "variance removed", needed)
    for name in columns:
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=name == "metric")
    for row in plan.metrics:
        table.add_row(
            row.metric,
            f"{row.days}",
            f"{row.shoppers:,}",
            f"{row.mean:.4g}",
            f"{row.effect:.2%}",
            f"{row.effect_without_cuped:.2%}",
            f"{row.cuped_gain:.0%}",
            "-" if row.shoppers_needed is None else f"{row.shoppers_needed:,}",
        )
    console.print(table)
    for metric, days in plan.days_needed.items():
        text = "longer than any of these durations, or more traffic" if days is None else f"{days} days"
        console.print(f"{metric}: an effect of {plan.asked_effect:.2%} takes {text}", highlight=False)
    week = "  ".join(f"{day.weekday[:3]} {day.lists:.2f}" for day in plan.weekdays)
    console.print(f"\nLists by day of the week, of the mean: {week}. Run whole weeks.", highlight=False)
    for name, why in plan.left_out.items():
        console.print(f"left out: {name}: {why}", highlight=False, markup=False)
