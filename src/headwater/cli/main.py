"""``headwater``: the command line's root."""

import typer

from headwater import __version__
from headwater.cli.demo import demo
from headwater.cli.replica import replica
from headwater.cli.serve import serve

app = typer.Typer(
    name="headwater",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help=(
        "A streaming database: connect Kafka, load generators and tables, write SQL views over "
        "them, and read answers that are always fresh and correct as of one timestamp.\n\n"
        "Start with [bold]headwater serve --data DIR[/bold] and connect with "
        "[bold]psql -h 127.0.0.1 -p 6875 -U materialize materialize[/bold]."
    ),
)
app.command()(serve)
app.command()(replica)
app.command()(demo)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"headwater {__version__}")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
