"""``python -m glioloop``."""

if __name__ == "__main__":
    # A spawned child imports this module too, and must not drag the command line with it.
    from glioloop.cli import main

    main()
