/** The completion script for bash (and for shells that load bash's). */
import {
  argumentChoices,
  completedCommands,
  firstWords,
  secondWords,
  type CompletedCommand,
  type CompletedOption,
  type ValueWords,
} from './words.ts'

export function bashCompletion(): string {
  const groups = firstWords().filter(({ name }) => secondWords(name).length > 0)
  return `# bash completion for fairlead; made by: fairlead completion bash
_fairlead() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command='' word count=0 first='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == -- && $command == exec ]]; then COMPREPLY=(); return; fi
    case $command in
      '') case $word in ${firstWords()
        .map(({ name }) => name)
        .join('|')}) command=$word ;; esac ;;
${groups.map(({ name }) => `      ${name}) case $word in ${names(secondWords(name)).join('|')}) command+=" $word" ;; esac ;;`).join('\n')}
      *) if [[ $word != -* ]]; then ((count++)) || first=$word; fi ;;
    esac
  done
  case $command in
    '') _fairlead_words '${[...names(firstWords()), 'help', '--state', '--help'].join(' ')}' ;;
${groups.map(({ name }) => `    ${name}) _fairlead_words '${[...names(secondWords(name)), '--help'].join(' ')}' ;;`).join('\n')}
${completedCommands().map(commandCase).join('\n')}
  esac
}
_fairlead_words() { COMPREPLY=($(compgen -W "$1" -- "\${COMP_WORDS[COMP_CWORD]}")); }
_fairlead_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen "$1" -- "\${COMP_WORDS[COMP_CWORD]}")); }
_fairlead_apps() { _fairlead_words "$(fairlead __complete apps 2>/dev/null)"; }
_fairlead_volumes() { _fairlead_words "$(fairlead __complete volumes "$1" 2>/dev/null)"; }
_fairlead_compared() {
  _fairlead_words "$(fairlead __complete compared 2>/dev/null)"; local words=("\${COMPREPLY[@]}")
  _fairlead_files -f; COMPREPLY+=("\${words[@]}")
}
complete -o default -F _fairlead fairlead
`
}

function commandCase(command: CompletedCommand): string {
  const values = command.options.flatMap((option) =>
    option.value === undefined ? [] : [valueCase(option, option.value)],
  )
  const options = command.options.flatMap((option) => option.names).join(' ')
  return `    '${command.words}')
      case $previous in
${values.map((line) => `        ${line}`).join('\n')}
        *) if [[ $current == -* ]]; then _fairlead_words '${options}'; else ${argumentWords(command)}; fi ;;
      esac ;;`
}

function valueCase(option: CompletedOption, value: ValueWords): string {
  return `${option.names.join('|')}) ${wordsFor(value)} ;;`
}

function wordsFor(value: ValueWords): string {
  if ('choices' in value) return `_fairlead_words '${value.choices.join(' ')}'`
  switch (value.kind) {
    case 'app':
      return '_fairlead_apps'
    case 'volume':
      return '_fairlead_volumes "$first"'
    case 'compared':
      return '_fairlead_compared'
    case 'file':
    case 'reference':
      return '_fairlead_files -f'
    case 'folder':
      return '_fairlead_files -d'
    case 'text':
      return 'COMPREPLY=()'
  }
}

function argumentWords(command: CompletedCommand): string {
  const choices = argumentChoices(command)
  if (choices !== undefined) return `_fairlead_words '${choices.join(' ')}'`
  const kinds = command.argumentKinds
  const cases = kinds.map(
    (kind, index) =>
      `${index === kinds.length - 1 && command.repeatsLast ? '*' : index}) ${wordsFor({ kind })} ;;`,
  )
  return cases.length === 0 ? 'COMPREPLY=()' : `case $count in ${cases.join(' ')} esac`
}

function names(words: readonly { readonly name: string }[]): readonly string[] {
  return words.map(({ name }) => name)
}
