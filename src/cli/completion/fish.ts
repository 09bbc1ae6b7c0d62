/** The completion script for fish. */
import {
  argumentChoices,
  completedCommands,
  firstWords,
  secondWords,
  type CompletedCommand,
  type CompletedOption,
  type ValueWords,
} from './words.ts'

export function fishCompletion(): string {
  const firsts = firstWords()
  const names = firsts.map(({ name }) => name).join(' ')
  const first = firsts.map(({ name, summary }) => line('__fairlead_first', `-a ${name} -d ${quote(summary)}`))
  const second = firsts.flatMap(({ name: group }) =>
    secondWords(group).map(({ name, summary }) =>
      line(`__fairlead_group ${group}`, `-a ${name} -d ${quote(summary)}`),
    ),
  )
  return `# fish completion for fairlead; made by: fairlead completion fish
function __fairlead_first; not __fish_seen_subcommand_from ${names}; end
function __fairlead_group
  __fish_seen_subcommand_from $argv[1]; and not __fish_seen_subcommand_from ${secondNames().join(' ')}
end
function __fairlead_on; for word in $argv; __fish_seen_subcommand_from $word; or return 1; end; end
function __fairlead_apps; fairlead __complete apps 2>/dev/null; end
function __fairlead_compared; fairlead __complete compared 2>/dev/null; end
complete -c fairlead -f
${[...first, ...second, ...completedCommands().flatMap(commandLines)].join('\n')}
`
}

function commandLines(command: CompletedCommand): readonly string[] {
  const on = `__fairlead_on ${command.words}`
  const choices = argumentChoices(command)
  const values =
    choices === undefined
      ? command.argumentKinds.map((kind) => argumentFlags({ kind }))
      : [argumentFlags({ choices })]
  const args = [...new Set(values)].filter((flags) => flags !== '').map((flags) => line(on, flags))
  return [...args, ...command.options.map((option) => line(on, optionFlags(option)))]
}

function optionFlags({ names, description, value }: CompletedOption): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
  return [
    ...flags,
    ...(value === undefined ? [] : [`-r ${argumentFlags(value)}`.trim()]),
    `-d ${quote(description)}`,
  ].join(' ')
}

function argumentFlags(value: ValueWords): string {
  if ('choices' in value) return `-a ${quote(value.choices.join(' '))}`
  switch (value.kind) {
    case 'app':
      return "-a '(__fairlead_apps)'"
    case 'compared':
      return "-F -a '(__fairlead_compared)'"
    case 'file':
    case 'reference':
    case 'folder':
      return '-F'
    case 'volume':
    case 'text':
      return ''
  }
}

function secondNames(): readonly string[] {
  return firstWords().flatMap(({ name }) => secondWords(name).map((word) => word.name))
}

function line(condition: string, flags: string): string {
  return `complete -c fairlead -n ${quote(condition)} ${flags}`
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`
}
