/** `make images`: builds the PostgreSQL image into the cache and prints where its layout lies. */
import { postgresImage } from './lib/postgres-image.ts'

const image = await postgresImage()
console.log(`PostgreSQL image: oci:${image.layout}:15 and :15-next`)
