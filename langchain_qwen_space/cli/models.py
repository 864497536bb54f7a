"""`qwen-space models`: what a Space offers."""

from langchain_qwen_space.cli.common import (
    chat_model,
    console,
    exit_codes,
    print_json,
    print_rows,
    printable,
)
from langchain_qwen_space.cli.options import (
    AuthOption,
    JsonOption,
    ProxyOption,
    SpacesOption,
    TokenOption,
)


def models(
    space: SpacesOption = None,
    token: TokenOption = None,
    proxy: ProxyOption = None,
    auth: AuthOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the models that a Space offers.

    For example:

        qwen-space models
        qwen-space models --space my-name/my-space --json

    The option `--model` of the other commands accepts both the Space's name for a model and its full
    name. With several Spaces, the models of the first are listed.

    `--json` prints one object with `space`, `url` and `models`, a list of objects with `name` (the
    Space's name), `model` (the full name), `default` and `max_input_tokens` (null if not known). The
    list is empty if the Space offers no choice.
    """
    with exit_codes():
        described = chat_model(space, None, token, proxy, auth).describe()
        from langchain_qwen_space.qwen.models import canonical_name, family_of_space, profile

        family = family_of_space(described.space, described.models)
        rows = [
            {
                "name": name,
                "model": canonical_name(name, family),
                "default": name == described.default_model,
                "max_input_tokens": (profile(name, family) or {}).get("max_input_tokens"),
            }
            for name in described.models
        ]
        if as_json:
            found = {"space": described.space, "url": described.url, "models": rows}
            print_json(found)
            return
        if not rows:
            out = console()
            out.print(
                printable(f"{described.space} offers no choice of models."),
                soft_wrap=not out.is_terminal,
            )
            return
        print_rows(
            ["name", "model", "context"],
            [
                [
                    f"{row['name']} (default)" if row["default"] else str(row["name"]),
                    str(row["model"]),
                    f"{row['max_input_tokens']:,}" if row["max_input_tokens"] else "?",
                ]
                for row in rows
            ],
        )
