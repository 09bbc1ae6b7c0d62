/**
 * What the controller may do in a cluster: the one source of `manifests/rbac.yaml` and of the chart's roles. Every rule
 * says why it is there. No wildcards, no verb that gives rights away, no Secret of the whole cluster.
 */
import { GROUP, PLURAL } from '../labels.ts'

export interface Rule {
  /** Why the controller needs it; a comment in what is generated. */
  readonly why: string
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
  readonly verbs: readonly string[]
}

export interface RoleDescription {
  /** Ends the object's name: `fairlead-NAME`. */
  readonly name: string
  /** What the role is for; a comment in what is generated. */
  readonly purpose: string
  /**
   * Where it holds. `apps`: in every namespace that has apps, the whole cluster or those that are named. `own`: in the
   * controller's namespace. `cluster`: only cluster-wide, and the controller gets along without. `asked`: nowhere until
   * an administrator binds it. `people`: it is not for the controller, but for users.
   */
  readonly scope: 'apps' | 'own' | 'cluster' | 'asked' | 'people'
  readonly labels?: Readonly<Record<string, string>>
  readonly rules: readonly Rule[]
}

const READ = ['get', 'list', 'watch']
/** Written by POST and server-side apply, which is a patch; an app that changes or ends takes them with it. */
const CHILD = [...READ, 'create', 'patch', 'delete']
const AGGREGATE = 'rbac.authorization.k8s.io/aggregate-to-'

const MANAGER: RoleDescription = {
  name: 'manager',
  purpose: 'What running apps takes, in the namespaces that are watched.',
  scope: 'apps',
  rules: [
    {
      why: 'The resources themselves: the spec is read and never written.',
      apiGroups: [GROUP],
      resources: [PLURAL],
      verbs: READ,
    },
    {
      why: 'Says in the status what was done.',
      apiGroups: [GROUP],
      resources: [`${PLURAL}/status`],
      verbs: ['patch'],
    },
    {
      why: 'Workloads: one of the two for each app.',
      apiGroups: ['apps'],
      resources: ['statefulsets', 'deployments'],
      verbs: CHILD,
    },
    {
      why: 'A stable name for each app with ports.',
      apiGroups: [''],
      resources: ['services'],
      verbs: CHILD,
    },
    {
      why: 'Storage for each volume. Not delete: with retain: Delete the cluster itself removes a claim with its app.',
      apiGroups: [''],
      resources: ['persistentvolumeclaims'],
      verbs: [...READ, 'create', 'patch'],
    },
    {
      why: 'Preflight pods come and go, and an outdated pod of a StatefulSet is deleted when its successor is prepared.',
      apiGroups: [''],
      resources: ['pods'],
      verbs: [...READ, 'create', 'delete'],
    },
    {
      why: 'Names of pull secrets, as the kubelet takes them.',
      apiGroups: [''],
      resources: ['serviceaccounts'],
      verbs: ['get'],
    },
    {
      why: 'Tells what happened, once for each transition; and a StatefulSet says only here why it can make no pod.',
      apiGroups: ['events.k8s.io'],
      resources: ['events'],
      verbs: ['list', 'create', 'patch'],
    },
  ],
}

const LEADER: RoleDescription = {
  name: 'leader-election',
  purpose:
    'What the controller needs in its own namespace: one Lease, and a dry run that leaves nothing behind.',
  scope: 'own',
  rules: [
    {
      why: 'One controller writes, the others wait: they watch the Lease.',
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: [...READ, 'create', 'update'],
    },
    {
      why: 'A server-side dry run shows whether the API server keeps image volumes. No pod is made here.',
      apiGroups: [''],
      resources: ['pods'],
      verbs: ['create'],
    },
  ],
}

const READER: RoleDescription = {
  name: 'cluster-reader',
  purpose:
    'Facts that no namespace has. Without this role everything works with careful defaults: linux of the image, no image volumes, Pod Security baseline, growing claims tried without asking.',
  scope: 'cluster',
  rules: [
    {
      why: 'Platforms to prepare images for, and whether runtimes can mount images.',
      apiGroups: [''],
      resources: ['nodes'],
      verbs: READ,
    },
    {
      why: 'Which Pod Security level a namespace enforces.',
      apiGroups: [''],
      resources: ['namespaces'],
      verbs: READ,
    },
    {
      why: 'Whether claims of a class can grow.',
      apiGroups: ['storage.k8s.io'],
      resources: ['storageclasses'],
      verbs: READ,
    },
  ],
}

const METRICS_AUTH: RoleDescription = {
  name: 'metrics-auth',
  purpose:
    'Lets the controller ask who scrapes its metrics, and whether they may. Bound nowhere: bind it for --metrics-auth.',
  scope: 'asked',
  rules: [
    {
      why: 'Whose token is it?',
      apiGroups: ['authentication.k8s.io'],
      resources: ['tokenreviews'],
      verbs: ['create'],
    },
    {
      why: 'May they get /metrics?',
      apiGroups: ['authorization.k8s.io'],
      resources: ['subjectaccessreviews'],
      verbs: ['create'],
    },
  ],
}

const PULL_SECRETS: RoleDescription = {
  name: 'pull-secrets',
  purpose:
    'Pull secrets of private registries. Bound nowhere: bind it by a RoleBinding in each namespace whose apps have them.',
  scope: 'asked',
  rules: [
    {
      why: 'Credentials to resolve and check an image with, as the kubelet pulls it. Only by name: no list.',
      apiGroups: [''],
      resources: ['secrets'],
      verbs: ['get'],
    },
  ],
}

const METRICS_READER: RoleDescription = {
  name: 'metrics-reader',
  purpose: 'For Prometheus: bind it to the service account that scrapes.',
  scope: 'asked',
  rules: [{ why: 'The metrics, and no other path.', nonResourceURLs: ['/metrics'], verbs: ['get'] }],
}

const VIEW: RoleDescription = {
  name: 'view',
  purpose: 'Whoever may view a namespace may view its apps.',
  scope: 'people',
  labels: { [`${AGGREGATE}view`]: 'true', [`${AGGREGATE}edit`]: 'true', [`${AGGREGATE}admin`]: 'true' },
  rules: [
    {
      why: 'Reading apps and their status.',
      apiGroups: [GROUP],
      resources: [PLURAL, `${PLURAL}/status`, `${PLURAL}/scale`],
      verbs: READ,
    },
  ],
}

const EDIT: RoleDescription = {
  name: 'edit',
  purpose:
    "Whoever may edit a namespace, or administers it, may change its apps; the status is the controller's.",
  scope: 'people',
  labels: { [`${AGGREGATE}edit`]: 'true', [`${AGGREGATE}admin`]: 'true' },
  rules: [
    {
      why: 'Changing apps.',
      apiGroups: [GROUP],
      resources: [PLURAL],
      verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'],
    },
    {
      why: 'The scale subresource: kubectl scale and autoscalers that people run.',
      apiGroups: [GROUP],
      resources: [`${PLURAL}/scale`],
      verbs: ['update', 'patch'],
    },
  ],
}

/** Every role, in the order in which a reader wants them. */
export const ROLES: readonly RoleDescription[] = [
  MANAGER,
  LEADER,
  READER,
  METRICS_AUTH,
  PULL_SECRETS,
  METRICS_READER,
  VIEW,
  EDIT,
]
