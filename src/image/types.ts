/**
 * The vocabulary of images (OCI image-spec 1.1). Pure data: whoever reads registries or layouts returns these.
 */
export type Digest = `sha256:${string}` | `sha512:${string}`

/** A parsed `spec.image` that names a registry. `original` is the user's text, byte for byte. */
export interface RegistryReference {
  readonly kind: 'registry'
  readonly original: string
  /** Lower-case host with optional port, `docker.io` for Docker Hub. */
  readonly registry: string
  readonly repository: string
  /** Absent when the user gave only a digest; `latest` by default otherwise. */
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

/** `oci:PATH[:TAG][@DIGEST]` or `oci-archive:FILE[:TAG][@DIGEST]`. `path` is as typed (maybe relative). */
export interface LayoutReference {
  readonly kind: 'oci' | 'oci-archive'
  readonly original: string
  readonly path: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

export type Reference = RegistryReference | LayoutReference

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
  readonly osVersion?: string
}

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
  /** Embedded content, already checked against digest and size. */
  readonly data?: Buffer
  readonly artifactType?: string
}

/** An image manifest (OCI or Docker schema 2). */
export interface Manifest {
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

/** An image index (OCI) or manifest list (Docker). */
export interface Index {
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

/** The image config, parsed and bounded. Absent fields are empty, never undefined, where emptiness means the same. */
export interface ImageConfig {
  readonly platform: Platform
  readonly created: string | undefined
  readonly author: string | undefined
  readonly user: string
  readonly env: readonly string[]
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly workingDir: string
  /** Keys of `config.Volumes` as written in the image, sorted; `declaredVolumes` normalises them. */
  readonly volumes: readonly string[]
  readonly exposedPorts: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal: string | undefined
  readonly diffIds: readonly Digest[]
}

/** What a reference resolved to, before any layer was read. */
export interface ResolvedImage {
  readonly reference: Reference
  /** `registry/repository:tag` with defaults applied, or `oci:/absolute/path:tag`. */
  readonly canonical: string
  /** The index's digest where there is one, else the manifest's. This is the pin. */
  readonly digest: Digest
  readonly mediaType: string
  /** Every runnable platform, sorted; a single-manifest image has one. */
  readonly platforms: readonly { readonly platform: Platform; readonly digest: Digest }[]
  /** The chosen platform's manifest. */
  readonly manifestDigest: Digest
  readonly manifest: Manifest
  readonly configDigest: Digest
  readonly config: ImageConfig
  readonly source: ImageOrigin
}

/** Where bytes came from: shown in status so that a later change can be noticed (rules R2, L11, X5). */
export type ImageOrigin =
  | { readonly kind: 'registry'; readonly host: string; readonly mirror: boolean }
  | {
      readonly kind: 'oci' | 'oci-archive'
      readonly path: string
      readonly realPath: string
      readonly indexDigest: Digest
    }
