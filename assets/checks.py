"""Results of checks in Dagster's form."""

import dagster as dg

from bolid_pipeline.records import CheckOutcome


def check_result(outcome: CheckOutcome) -> dg.AssetCheckResult:
    """Return the outcome with its problem as the description and its numbers as metadata; log the problem too."""
    if (
        outcome.problem is not None
    ):  # or whoever starts a job in a terminal learns the name of the check alone
        dg.get_dagster_logger().error(outcome.problem)
    return dg.AssetCheckResult(
        passed=outcome.passed,
        description=outcome.problem,
        metadata={**outcome.numbers, **({"examples": list(outcome.examples)} if outcome.examples else {})},
    )
