"""`brushedit weights`: which profiles there are, what they lack here, and getting it."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import WeightsOption

if TYPE_CHECKING:
    from models.weights import Finding

cli = typer.Typer(help="List, fetch and check the networks' weights.", no_args_is_help=True)

ProfileArgument = Annotated[str, typer.Argument(help="toybox, sd15 or sdxl.")]


@cli.command("list")
def list_profiles(
    name: Annotated[str, typer.Argument(metavar="[PROFILE]", help="One of them; all if not given.")] = "",
) -> None:
    """Print profiles with their networks, and where these come from, how large they are, under which licence."""
    from models.catalog import PROFILES, find_profile
    from models.weights import sources

    for profile in [find_profile(name)] if name else PROFILES.values():
        typer.echo(f"{profile.name}: {profile.description}")
        for role, network in profile.networks.items():
            for source in sources(network):
                revision = f"@{source.revision[:12]}" if source.revision else ""
                place = f"{source.repo}{revision} {source.prefix}".strip() or "in this repository"
                limits = f" ({source.licence.limits})" if source.licence.limits else ""
                typer.echo(f"  {role:<11} {_told(source.size):>8}  {place}  {source.licence.name}{limits}")


@cli.command()
def pull(
    profile: ProfileArgument,
    accept_licence: Annotated[
        bool, typer.Option(help="You have read the licences that limit use, and accept them.")
    ] = False,
    weights: WeightsOption = None,
) -> None:
    """Download what a profile lacks into the hub's cache (HF_HOME); what was begun is resumed."""
    from models.catalog import find_profile
    from models.weights import limiting_licences
    from models.weights import pull as pull_weights

    chosen = find_profile(profile)
    for licence in limiting_licences(chosen):
        typer.echo(f"{licence.name}: {licence.limits}; {licence.address}", err=True)
    pull_weights(chosen, accepted=accept_licence, roots=tuple(weights or ()))
    check(profile, weights)


@cli.command()
def check(profile: ProfileArgument, weights: WeightsOption = None) -> None:
    """Say of each network what is there, missing, or not what the catalog says; exit 1 unless all is well."""
    from models.catalog import find_profile
    from models.weights import check as check_weights

    findings = check_weights(find_profile(profile), tuple(weights or ()))
    for finding in findings:
        typer.echo(f"{finding.role:<11} {_state(finding)}")
    if any(finding.missing or finding.damaged for finding in findings):
        raise typer.Exit(1)


def _state(finding: "Finding") -> str:
    if finding.folder is None:
        return f"missing: {', '.join(finding.missing)} of {finding.source.repo or 'this repository'}"
    if finding.damaged:
        return f"damaged: {', '.join(finding.damaged)} in {finding.folder}"
    verified = ", ".join(finding.source.sha256) or "no checksum is known"
    return f"present in {finding.folder} (verified: {verified})"


def _told(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
