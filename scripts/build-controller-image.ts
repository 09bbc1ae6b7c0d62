/** `make images`: builds the controller's image into the cache and prints where its layout lies. */
import { controllerImage } from './lib/controller-image.ts'

const image = await controllerImage()
console.log(`controller image: oci:${image.layout}:${image.tag}`)
