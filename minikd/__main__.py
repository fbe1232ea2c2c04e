"""The `minikd` command, also as `python -m minikd`.

Nothing else is imported here before Ctrl-C has a handler. The import of NumPy and the rest takes half a second, and in
this time Ctrl-C would print a traceback.
"""

import sys

try:
    from minikd.console.interrupts import asked_to_stop, end_stopped, say_stopped, stop_at_once, stop_by_exception
except KeyboardInterrupt:  # during the import of the few modules that the handler needs
    print("\nminikd: stopped", file=sys.stderr)
    sys.exit(130)


def main() -> int:
    """Run the command line and return its exit status; see `minikd.cli.main`."""
    stop_by_exception()
    try:
        from minikd.cli import main as command

        status = command()
    except BaseException:
        if not asked_to_stop():
            raise
        say_stopped()  # an interrupted import may raise another error instead
    finally:
        stop_at_once()
    if asked_to_stop():
        end_stopped()
    return status


if __name__ == "__main__":
    sys.exit(main())
