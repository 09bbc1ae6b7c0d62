/** `make images`: builds the demo image into the cache and prints where its layout lies. */
import { demoImage } from './lib/demo-image.ts'

const image = await demoImage()
console.log(`demo image: oci:${image.layout}:v1 and :v2`)
