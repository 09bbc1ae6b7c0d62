/** `docs/commands.md`, made from the command tree. */
import type { ArgumentSpec, CommandSpec, OptionSpec } from './command-spec.ts'
import { allCommands, COMMAND_GROUPS, PROGRAM, SUMMARY } from './commands.ts'

export const COMMANDS_PAGE = 'docs/commands.md'

export function commandsPage(): string {
  const commands = allCommands().filter(({ spec }) => spec.hidden !== true)
  return `${[header(), overview(), GENERAL, ...commands.map(({ words, spec }) => section(words, spec))].join('\n\n')}\n`
}

function header(): string {
  return `<!-- Generated from src/cli/tree by "npm run generate". Do not edit. -->

# Commands

${SUMMARY}`
}

function overview(): string {
  return COMMAND_GROUPS.map(({ title, commands }) => {
    const rows = commands
      .filter(({ hidden }) => hidden !== true)
      .map(({ name, summary, commands: inner }) => {
        const target = inner?.[0] === undefined ? name : `${name}-${inner[0].name}`
        return `| [\`${name}\`](#fairlead-${target}) | ${summary} |`
      })
    return `**${title}**\n\n| Command | |\n|---|---|\n${rows.join('\n')}`
  }).join('\n\n')
}

const GENERAL = `## For every command

- \`NAME\` is \`name\` or \`namespace/name\`; the namespace of a bare name is \`default\`, or what \`-n\` says.
- Answers go to standard output, progress and everything else to standard error. With \`-o json\` the answer is one JSON
  value.
- Exit code 0: done. 1: what was asked for failed; each line on standard error is \`Reason: message\`, and
  [troubleshooting](troubleshooting.md) has a section for each reason. 2: wrong usage or invalid input, with the field's
  path. \`exec\` ends with the exit code of its command.
- \`FAIRLEAD_STATE\` or \`--state\` names the state folder (default \`/var/lib/fairlead\`), \`FAIRLEAD_CONFIG\` the
  configuration file (default \`/etc/fairlead/config.yaml\`). \`NO_COLOR\` turns colours off, \`FAIRLEAD_DEBUG=1\` shows where in
  the program an error came from.
- Lists fit into the terminal, by cutting long names. Into a pipe or a file they go whole, unless \`COLUMNS\` is set.`

function section(words: string, spec: CommandSpec): string {
  const parts = [
    `## ${PROGRAM} ${words}`,
    `${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.${spec.needsRoot === true ? ' Needs root.' : ''}`,
    `\`\`\`text\n${usage(words, spec)}\n\`\`\``,
    ...(spec.details === undefined ? [] : [spec.details]),
    ...table('Argument', (spec.arguments ?? []).map(argumentRow)),
    ...table('Option', (spec.options ?? []).map(optionRow)),
    ...(spec.examples === undefined
      ? []
      : [
          `\`\`\`sh\n${spec.examples.map(({ words: example, says }) => `# ${says}\n${PROGRAM} ${example}`).join('\n')}\n\`\`\``,
        ]),
  ]
  return parts.join('\n\n')
}

function usage(words: string, spec: CommandSpec): string {
  const required = (spec.options ?? [])
    .filter((option) => option.required === true)
    .map(({ flags }) => flags.replace(/^-\w, /, ''))
  const args = (spec.arguments ?? []).map(({ name }) => (name.startsWith('[') ? name : `<${name}>`))
  return [PROGRAM, words, ...required, '[options]', ...args].join(' ')
}

function table(title: string, rows: readonly string[]): readonly string[] {
  return rows.length === 0 ? [] : [`| ${title} | |\n|---|---|\n${rows.join('\n')}`]
}

function argumentRow({ name, description }: ArgumentSpec): string {
  return `| \`${name}\` | ${cell(description)} |`
}

function optionRow({ flags, description }: OptionSpec): string {
  return `| \`${flags}\` | ${cell(description)} |`
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`).replaceAll('<', '&lt;')
}
