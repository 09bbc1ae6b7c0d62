/** The rules that a schema can't say, one file a theme. They see a spec of any shape and never throw. */
import type { FieldPath, Finding } from '../findings.ts'
import type { Fields } from '../view.ts'
import { checkImage } from './image.ts'
import { checkNetwork } from './network.ts'
import { checkProcess } from './process.ts'
import { checkResources } from './resources.ts'
import { checkSecurity } from './security.ts'
import { checkText } from './text.ts'
import { checkVolumes } from './volumes.ts'

const SPEC: FieldPath = ['spec']

export function checkRules(spec: Fields): readonly Finding[] {
  return [
    ...checkImage(spec, SPEC),
    ...checkVolumes(spec, SPEC),
    ...checkProcess(spec, SPEC),
    ...checkNetwork(spec, SPEC),
    ...checkResources(spec, SPEC),
    ...checkSecurity(spec, SPEC),
    ...checkText(spec, SPEC),
  ]
}
