/** Turns the command tree into a parser with help, suggestions and errors (commander does the parsing). */
import { Argument, Command, Option } from 'commander'
import type { ArgumentSpec, CommandSpec, ExampleSpec, OptionSpec, RunCommand } from './command-spec.ts'
import { HOST_TREE, type CommandTree } from './commands.ts'
import type { CliContext } from './context.ts'
import { OptionValues } from './option-values.ts'
import { packageVersion } from './package-version.ts'

/** Called with what was parsed; `run` imports the command when it is time. */
export type Dispatch = (spec: CommandSpec, call: Parameters<RunCommand>[1]) => Promise<void>

const HELP_MAX_COLUMNS = 100

export function buildProgram(
  context: CliContext,
  dispatch: Dispatch,
  tree: CommandTree = HOST_TREE,
): Command {
  const program = prepare(new Command(tree.program), context)
  program.description(tree.summary).enablePositionalOptions()
  for (const option of tree.options) program.addOption(toOption(option))
  program.version(`${tree.program} ${packageVersion()}`, '--version', 'print the version')
  for (const { title, commands } of tree.groups) {
    program.commandsGroup(`${title}:`)
    const anywhere = tree.optionsAnywhere ? tree.options : []
    for (const spec of commands)
      addCommand(program, spec, { context, dispatch, anywhere, program: tree.program }, tree.program)
  }
  program.addHelpCommand(
    new Command('help')
      .argument('[command]')
      .summary('show the help of a command')
      .helpGroup('Fairlead itself:'),
  )
  program.addHelpText('after', `\nSee '${tree.program} COMMAND --help' for options and examples.`)
  return program
}

/** What every command of one tree is built with. */
interface Building {
  readonly context: CliContext
  readonly dispatch: Dispatch
  readonly program: string
  /** Options that every command takes, too. */
  readonly anywhere: readonly OptionSpec[]
}

function addCommand(parent: Command, spec: CommandSpec, building: Building, before: string): void {
  const { context, dispatch } = building
  const command = prepare(new Command(spec.name), context)
  command.summary(spec.summary).description(describe(spec))
  for (const argument of spec.arguments ?? []) command.addArgument(toArgument(argument))
  for (const option of spec.options ?? []) command.addOption(toOption(option))
  for (const option of building.anywhere) addGlobalOption(command, toOption(option))
  for (const child of spec.commands ?? []) addCommand(command, child, building, `${before} ${spec.name}`)
  if (spec.passThrough === true) command.passThroughOptions()
  if (spec.commands !== undefined) command.helpCommand(false)
  else
    command.action(() => {
      requireOptions(command, spec)
      return dispatch(spec, callOf(command))
    })
  if (spec.examples !== undefined)
    command.addHelpText('after', `\nExamples:\n${exampleLines(spec.examples, building.program)}`)
  parent.addCommand(command, { hidden: spec.hidden === true })
}

/** In the help it stands apart, unless the command has words of its own for it. */
function addGlobalOption(command: Command, option: Option): void {
  if (command.options.every(({ long }) => long !== option.long)) command.addOption(option.hideHelp())
}

function prepare(command: Command, context: CliContext): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption('-h, --help', 'show this help')
    .configureHelp({
      minWidthToWrap: 20,
      optionDescription: ({ description }) => description,
      showGlobalOptions: true,
      visibleGlobalOptions: ({ options }) => options.filter(({ hidden }) => hidden),
    })
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: (text, write) => write(usageText(text, command)),
      getOutHelpWidth: () => Math.min(context.stdout.columns, HELP_MAX_COLUMNS),
      getErrHelpWidth: () => Math.min(context.stderr.columns, HELP_MAX_COLUMNS),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
}

/** `error: unknown option '--x'` in our words, with the way to the help. */
function usageText(text: string, command: Command): string {
  const words: string[] = []
  for (let at: Command | null = command; at !== null; at = at.parent) words.unshift(at.name())
  return `${words[0] ?? ''}: ${text.replace(/^error: /, '').trimEnd()}\nSee '${words.join(' ')} --help'.\n`
}

/** Looked for after unknown options, so that `--fil` is told as the slip that it is. */
function requireOptions(command: Command, spec: CommandSpec): void {
  for (const { flags, required } of spec.options ?? []) {
    const option = command.options.find((known) => known.flags === flags)
    if (
      required === true &&
      option !== undefined &&
      command.getOptionValue(option.attributeName()) === undefined
    ) {
      command.error(`error: required option '${flags}' not specified`)
    }
  }
}

function describe(spec: CommandSpec): string {
  const summary = `${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.`
  return spec.details === undefined ? summary : `${summary}\n\n${spec.details}`
}

function callOf(command: Command): Parameters<RunCommand>[1] {
  const args = (command.processedArgs as readonly (string | readonly string[] | undefined)[]).flatMap(
    (value) => value ?? [],
  )
  return { args, options: new OptionValues(optionsOf(command)) }
}

/** What stands nearest to the command counts. */
function optionsOf(command: Command): Readonly<Record<string, unknown>> {
  const before = command.parent === null ? {} : optionsOf(command.parent)
  return { ...before, ...command.opts() }
}

export function toArgument({ name, description }: ArgumentSpec): Argument {
  return new Argument(name.startsWith('[') ? name : `<${name}>`, description)
}

export function toOption({ flags, description, choices }: OptionSpec): Option {
  const option = new Option(flags, description)
  return choices === undefined ? option : option.choices(choices)
}

export function exampleLines(examples: readonly ExampleSpec[], program: string): string {
  return examples.map(({ words, says }) => `  ${program} ${words}\n      ${says}`).join('\n')
}
