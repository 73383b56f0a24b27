"""The results as Markdown."""

from bolid_pipeline.training.measurements import Measurements


def to_markdown(results: Measurements) -> str:
    """A table of the training steps, one of the stages, and a list of what was not measured."""
    machine = results.machine
    where = f"{machine.gpu}, {machine.memory_gib:.0f} GiB, torch {machine.torch}"
    lines = [f"{where}, {machine.date}, commit {machine.commit}: `{machine.command}`", ""]
    if machine.matmul_tflops:
        lines += [f"A product of bfloat16 matrices runs at {machine.matmul_tflops:.0f} TFLOP/s.", ""]
    if results.steps:
        lines += [
            "| preset | step | batch | ms a step | images/s | peak GiB | compiling, s |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {step.preset} | {step.part} | {step.batch_size} | {step.step_ms:.0f} | "
            f"{step.images_per_second:.1f} | {step.peak_gib:.1f} | {step.compile_seconds:.0f} |"
            for step in results.steps
        ]
        lines.append("")
    if results.stages:
        lines += [
            "| stage | photos/s | its networks alone, photos/s | peak GiB |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {stage.stage} | {stage.photos_per_second:.1f} | {stage.network_photos_per_second:.1f} | "
            f"{stage.peak_gib:.1f} |"
            for stage in results.stages
        ]
        lines.append("")
    lines += [f"- {failure}" for failure in results.failures]
    return "\n".join(lines).rstrip() + "\n"
