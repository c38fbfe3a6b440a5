"""`leveret doctor`."""

import asyncio

import click
import msgspec

from leveret.cli.invocation import invocation_options
from leveret.cli.tables import print_json
from leveret.cli.verbs.target import target_app, target_queues
from leveret.model.insight.finding import ERROR, NOTE, WARNING, Finding
from leveret.wiring.insight.checkup import Doctor

COLOURS = {ERROR: "red", WARNING: "yellow", NOTE: "cyan"}
EXIT_HEALTHY, EXIT_WARNINGS, EXIT_ERRORS = 0, 1, 2


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(as_json: bool) -> int:
    """Look for what will hurt: settings of broker, store and app, queues, nodes, clocks.

    Exit code: 0 healthy (there may be notes), 1 warnings, 2 errors, or a server that cannot be reached.
    """
    app = target_app()
    conf = app.conf
    doctor = Doctor(conf.settings, app.tasks, queues=target_queues(app), remarks=conf.remarks())
    findings = asyncio.run(doctor.examine())
    if as_json:
        print_json([msgspec.structs.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _show(finding)
        if not any(finding.severity in (ERROR, WARNING) for finding in findings):
            click.echo("healthy")
    return exit_code(findings)


def exit_code(findings: tuple[Finding, ...]) -> int:
    found = {finding.severity for finding in findings}
    return EXIT_ERRORS if ERROR in found else EXIT_WARNINGS if WARNING in found else EXIT_HEALTHY


def _show(finding: Finding) -> None:
    head = click.style(finding.severity, fg=COLOURS[finding.severity])
    click.echo(f"{head} {finding.check}: {finding.where}: {finding.text}")
    click.echo(f"    {finding.change}")
