/** A valid ContainerApp as the parser's input, with members of `spec` laid over it. */
export function anApp(
  spec: Readonly<Record<string, unknown>> = {},
  envelope: Readonly<Record<string, unknown>> = {},
): unknown {
  return {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ContainerApp',
    metadata: { name: 'mattermost', namespace: 'chat' },
    spec: { image: 'example.com/mattermost:10.12', ...spec },
    ...envelope,
  }
}

export const DIGEST = `sha256:${'a1'.repeat(32)}`
