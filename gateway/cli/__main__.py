"""`python -m gateway.cli` is `fairclaim`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
