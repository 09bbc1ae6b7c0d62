/** The completion script for zsh. */
import {
  argumentChoices,
  completedCommands,
  firstWords,
  secondWords,
  type CompletedCommand,
  type CompletedOption,
  type ValueWords,
} from './words.ts'

export function zshCompletion(): string {
  const groups = firstWords().filter(({ name }) => secondWords(name).length > 0)
  return `#compdef fairlead
# zsh completion for fairlead; made by: fairlead completion zsh
_fairlead_apps() { local -a names; names=(\${(f)"$(fairlead __complete apps 2>/dev/null)"}); compadd -a names }
_fairlead_volumes() { local -a paths; paths=(\${(f)"$(fairlead __complete volumes "\${words[2]}" 2>/dev/null)"}); compadd -a paths }
_fairlead_compared() { local -a sides; sides=(\${(f)"$(fairlead __complete compared 2>/dev/null)"}); compadd -a sides; _files }
_fairlead() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C '--state[state folder]:folder:_files -/' '(-h --help)'{-h,--help}'[show this help]' '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands
      commands=(${firstWords()
        .map(({ name, summary }) => quote(`${name}:${summary}`))
        .join(' ')})
      _describe command commands ;;
    argument)
      case $words[1] in
${groups.map(({ name }) => groupCase(name)).join('\n')}
${completedCommands()
  .filter(({ words }) => !words.includes(' '))
  .map((command) => `        ${command.words}) ${argumentsCall(command)} ;;`)
  .join('\n')}
      esac ;;
  esac
}
if [ "$funcstack[1]" = _fairlead ]; then _fairlead "$@"; else compdef _fairlead fairlead; fi
`
}

function groupCase(group: string): string {
  const inner = completedCommands().filter(({ words }) => words.startsWith(`${group} `))
  return `        ${group})
          if (( CURRENT == 2 )); then
            local -a commands
            commands=(${secondWords(group)
              .map(({ name, summary }) => quote(`${name}:${summary}`))
              .join(' ')})
            _describe command commands
          else
            shift words; (( CURRENT-- ))
            case $words[1] in
${inner.map((command) => `              ${command.words.slice(group.length + 1)}) ${argumentsCall(command)} ;;`).join('\n')}
            esac
          fi ;;`
}

function argumentsCall(command: CompletedCommand): string {
  const choices = argumentChoices(command)
  const kinds = command.argumentKinds.map((kind, index) => {
    const last = index === command.argumentKinds.length - 1 && command.repeatsLast
    return quote(
      `${last ? '*' : index + 1}:${kind}:${actionFor(choices === undefined ? { kind } : { choices })}`,
    )
  })
  return ['_arguments', ...command.options.map(optionWord), ...kinds].join(' ')
}

function optionWord({ names, description, value }: CompletedOption): string {
  const text = description.replaceAll(/[[\]:]/g, String.raw`\$&`)
  const action = value === undefined ? '' : `:value:${actionFor(value)}`
  const [only] = names
  if (names.length === 1 && only !== undefined) return quote(`${only}[${text}]${action}`)
  return `${quote(`(${names.join(' ')})`)}{${names.join(',')}}${quote(`[${text}]${action}`)}`
}

function actionFor(value: ValueWords): string {
  if ('choices' in value) return `(${value.choices.join(' ')})`
  const actions = {
    app: '_fairlead_apps',
    compared: '_fairlead_compared',
    volume: '_fairlead_volumes',
    file: '_files',
    reference: '_files',
    folder: '_files -/',
    text: '',
  }
  return actions[value.kind]
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
