/** `kind: LocalInstance`: what `render --engine local` shows of a bundle. Derived, so `up` and `check` leave it out. */
export const LOCAL_INSTANCE_KIND = 'LocalInstance'
export const LOCAL_API_VERSION = 'local.fairlead.dev/v1alpha1'
