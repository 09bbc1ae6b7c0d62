/**
 * Turns what is rendered and what was seen into steps, in order. Pure. The order is the promise: nothing foreign is
 * touched; claims, then the Service; the preflight pod proves image, volumes and mounts; only then the workload is
 * switched, and only after that the old pod goes. Whatever holds a stage up, what ran before goes on.
 */
import type { Plan, VolumeWords } from '../types.ts'
import { planClaims } from './plan-claims.ts'
import { planConflicts } from './plan-conflicts.ts'
import {
  planContext,
  type ClusterPlanInput,
  type PlanContext,
  type PreflightMemory,
  type Stage,
} from './plan-context.ts'
import { collectPreflights, planPreflight } from './plan-preflight.ts'
import { lossWarnings } from './seed-losses.ts'
import { holdWorkload, planService, planWorkload } from './plan-workload.ts'
import { planRollout } from './rollout.ts'
import type { ClusterStep, ObservedWorkload } from './types.ts'
import { volumeWords } from './volume-words.ts'

export interface ClusterPlan extends Plan<ClusterStep> {
  /** To be handed to the next plan of the app; undefined: nothing failed. */
  readonly memory: PreflightMemory | undefined
  /** What the status says about each volume beside what every engine says. */
  readonly volumes: readonly VolumeWords[]
}

export function planCluster(input: ClusterPlanInput): ClusterPlan {
  const context = planContext(input)
  const { current, desired } = context
  const { stages, stopped } = runStages(context)
  const merged = mergeStages(stages)
  const held = stopped === 'held' ? holdWorkload(current, desired.running) : []
  const steps = [...merged.steps, ...held]
  return {
    ...merged,
    steps: steps.length === 0 ? keep(context.current, desired.key.name) : steps,
    wakeAtMs: merged.wakeAtMs,
    memory: merged.memory,
    volumes: volumeWords(context),
    warnings: [...merged.warnings, ...lossWarnings(context)],
  }
}

interface StagesRun {
  readonly stages: readonly Stage[]
  /** `held`: before the workload, which is looked after as it is. */
  readonly stopped: 'held' | 'early' | 'no'
}

function runStages(context: PlanContext): StagesRun {
  const stages: Stage[] = []
  const conflicts = planConflicts(context)
  if (conflicts.stop) return { stages: [conflicts], stopped: 'early' }
  for (const plan of [planClaims, planService, planPreflight]) {
    const stage = plan(context)
    stages.push(stage)
    if (stage.stop) return { stages, stopped: stage.steps.some(isOnWorkload) ? 'early' : 'held' }
  }
  const workload = planWorkload(context)
  stages.push(workload)
  if (workload.stop) return { stages, stopped: 'early' }
  // The preflight pod goes in a later pass: until then the status can be told from it what it saw.
  if (workload.steps.length > 0 || context.current === undefined) return { stages, stopped: 'no' }
  stages.push(planRollout(context.current, context.appPods), { steps: collectPreflights(context) })
  return { stages, stopped: 'no' }
}

/** A stage that writes the workload itself has said all that is to be said about it. */
function isOnWorkload(step: ClusterStep): boolean {
  return step.kind === 'apply' && (step.object.kind === 'StatefulSet' || step.object.kind === 'Deployment')
}

/** The first problem and the last thing waited for; all steps and warnings. */
function mergeStages(stages: readonly Stage[]) {
  const problem = stages.find((stage) => stage.problem !== undefined)?.problem
  const waiting = stages.findLast((stage) => stage.waiting !== undefined)?.waiting
  const wakes = stages.flatMap(({ wakeAtMs }) => wakeAtMs ?? [])
  const warnings = stages.flatMap((stage) => stage.warnings ?? [])
  return {
    steps: stages.flatMap(({ steps }) => steps),
    wakeAtMs: wakes.length === 0 ? undefined : Math.min(...wakes),
    memory: stages.find(({ memory }) => memory !== undefined)?.memory,
    ...(problem === undefined ? {} : { problem }),
    ...(waiting === undefined ? {} : { waiting }),
    warnings,
  }
}

/** `keep` is a step so that doing nothing is visible in logs and tests. */
export function keep(workload: ObservedWorkload | undefined, name: string): readonly ClusterStep[] {
  return [{ kind: 'keep', id: workload === undefined ? name : `${workload.kind}/${workload.name}` }]
}
