"""Results of checks in Dagster's form."""

import dagster as dg

from bolid_pipeline.records import CheckOutcome


def check_result(outcome: CheckOutcome) -> dg.AssetCheckResult:
    """Return the outcome with its problem as the description and its numbers as metadata."""
    return dg.AssetCheckResult(
        passed=outcome.passed,
        description=outcome.problem,
        metadata={**outcome.numbers, **({"examples": list(outcome.examples)} if outcome.examples else {})},
    )
