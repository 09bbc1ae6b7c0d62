/** What seedings could not keep: told for as long as the claims are there, since nothing brings it back. Pure. */
import type { Issue } from '../../errors.ts'
import type { PlanContext } from './plan-context.ts'

/** One warning for each wanted volume that lost something. */
export function lossWarnings({ rendered, claim, facts, options }: PlanContext): readonly Issue[] {
  // Under `restricted` nobody may give files away; elsewhere it is the storage that can't keep an attribute.
  const reason = options.podSecurity === 'restricted' ? 'PodSecurityRestricted' : 'SeedFailed'
  return rendered.claims.flatMap(({ name, volumes }) =>
    volumes.flatMap(({ path }): readonly Issue[] => {
      const message = facts.get(path)?.lost ?? claim(name)?.lost?.[path]
      return message === undefined ? [] : [{ severity: 'warning', reason, path: 'volumes', message }]
    }),
  )
}
