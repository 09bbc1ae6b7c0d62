/** `docs/commands.md`, made from the command trees. */
import type { ArgumentSpec, CommandSpec, OptionSpec } from './command-spec.ts'
import { allCommands, HOST_TREE, SUMMARY, type CommandTree } from './commands.ts'
import { PLUGIN_TREE } from './tree/cluster.ts'

export const COMMANDS_PAGE = 'docs/commands.md'

export function commandsPage(): string {
  const parts = [
    header(),
    overview(HOST_TREE),
    PLUGIN,
    overview(PLUGIN_TREE),
    GENERAL,
    ...sections(HOST_TREE),
    ...sections(PLUGIN_TREE),
  ]
  return `${parts.join('\n\n')}\n`
}

function header(): string {
  return `<!-- Generated from src/cli/tree by "npm run generate". Do not edit. -->

# Commands

${SUMMARY}`
}

function overview({ program, groups }: CommandTree): string {
  return groups
    .map(({ title, commands }) => {
      const rows = commands
        .filter(({ hidden }) => hidden !== true)
        .map(({ name, summary, commands: inner }) => {
          const target = inner?.[0] === undefined ? name : `${name}-${inner[0].name}`
          return `| [\`${name}\`](#${program.replaceAll(' ', '-')}-${target}) | ${summary} |`
        })
      return `**${title}**\n\n| Command | |\n|---|---|\n${rows.join('\n')}`
    })
    .join('\n\n')
}

function sections({ program, groups }: CommandTree): readonly string[] {
  return allCommands(groups)
    .filter(({ spec }) => spec.hidden !== true)
    .map(({ words, spec }) => section(program, words, spec))
}

const PLUGIN = `On a cluster, the same program is a plugin of kubectl: with \`kubectl-fairlead\` in the \`PATH\` (the npm package and \`bin/\` of a
checkout have it), \`kubectl fairlead\` finds it. It speaks to the cluster of the kubeconfig, with the rights of its user.`

const GENERAL = `## For every command

- \`NAME\` is \`name\` or \`namespace/name\`; the namespace of a bare name is \`default\`, or what \`-n\` says. The plugin takes the
  kubeconfig's.
- Answers go to standard output, progress and everything else to standard error. With \`-o json\` the answer is one JSON
  value.
- Exit code 0: done. 1: what was asked for failed; each line on standard error is \`Reason: message\`, and
  [troubleshooting](troubleshooting.md) has a section for each reason. 2: wrong usage or invalid input, with the field's
  path. \`exec\` ends with the exit code of its command. \`kubectl fairlead diff\` is as \`kubectl diff\`: 0 no difference, 1
  differences, 2 wrong usage or invalid input, 3 it could not be told. So is \`diff --exit-code\`; without it, \`diff\` ends with
  0 whether there are differences or not.
- \`kubectl fairlead\` finds its kubeconfig as kubectl does: \`--kubeconfig\` and \`--context\`, else \`KUBECONFIG\`, else
  \`~/.kube/config\`. These two and \`-n\` may stand before and after the command.
- \`FAIRLEAD_STATE\` or \`--state\` names the state folder (default \`/var/lib/fairlead\`), \`FAIRLEAD_CONFIG\` the
  configuration file (default \`/etc/fairlead/config.yaml\`). \`NO_COLOR\` turns colours off, \`FAIRLEAD_DEBUG=1\` shows where in
  the program an error came from.
- On a terminal, sentences are wrapped and long image names are cut in the middle. What the next command takes is never
  cut: paths of volumes, names of claims and pods, digests, commands; a claim stands below its row where the line is too
  short. Into a pipe or a file everything goes whole and unwrapped, unless \`COLUMNS\` is set.
- In lists of volumes, \`of 20.0 GiB\` is the size of one claim that holds several of them (\`layout: OneClaim\`).`

function section(program: string, words: string, spec: CommandSpec): string {
  const parts = [
    `## ${program} ${words}`,
    `${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.${spec.needsRoot === true ? ' Needs root.' : ''}`,
    `\`\`\`text\n${usage(program, words, spec)}\n\`\`\``,
    ...(spec.details === undefined ? [] : [spec.details]),
    ...table('Argument', (spec.arguments ?? []).map(argumentRow)),
    ...table('Option', (spec.options ?? []).map(optionRow)),
    ...(spec.examples === undefined
      ? []
      : [
          `\`\`\`sh\n${spec.examples.map(({ words: example, says }) => `# ${says}\n${program} ${example}`).join('\n')}\n\`\`\``,
        ]),
  ]
  return parts.join('\n\n')
}

function usage(program: string, words: string, spec: CommandSpec): string {
  const required = (spec.options ?? [])
    .filter((option) => option.required === true)
    .map(({ flags }) => flags.replace(/^-\w, /, ''))
  const args = (spec.arguments ?? []).map(({ name }) => (name.startsWith('[') ? name : `<${name}>`))
  return [program, words, ...required, '[options]', ...args].join(' ')
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
