"""``dyn completion``: a script for bash and zsh that completes commands, names and options."""

from collections.abc import Sequence

USAGE = """usage: dyn completion

Prints a script that completes commands, recipes and options, for ~/.bashrc or ~/.zshrc:

  eval "$(dyn completion)"
"""

SCRIPT = """\
[ -n "$ZSH_VERSION" ] && autoload -U +X compinit bashcompinit && compinit && bashcompinit
_dyn() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  elif [ "$COMP_CWORD" -eq 2 ] && [ "${{COMP_WORDS[1]}}" = list ]; then
    words="methods models recipes"
  elif [ "$COMP_CWORD" -eq 2 ] && [ "${{COMP_WORDS[1]}}" = train ]; then
    words="$(dyn list recipes "$word" 2>/dev/null | awk 'NR > 1 {{ print $1 }}')"
  elif [[ "$word" = -* ]]; then
    case "${{COMP_WORDS[1]}}" in
{options}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _dyn dyn
"""


def run(arguments: Sequence[str]) -> None:
    """``dyn completion``."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    if arguments:
        raise ValueError(f"dyn completion takes no arguments, not {list(arguments)}")
    print(script(), end="")


def script() -> str:
    """The script, with the commands and options that there are."""
    from dyncore.cli._main import COMMANDS
    from dyncore.cli._options import flags

    options = "\n".join(
        f'      {command}) words="{" ".join(given)}" ;;' for command, given in flags().items()
    )
    return SCRIPT.format(commands=" ".join(COMMANDS), options=options)
