/**
 * Node's HTTP. An `import` of `node:http` reads each of its exports once, and three of them load the client behind
 * `fetch` and `WebSocket`: 4 to 13 MB of memory in every process, for something that nobody calls here. Asked for like
 * this, only what is used is loaded.
 */
import type * as Http from 'node:http'

const http = process.getBuiltinModule('node:http')

export const Agent = http.Agent
export type Agent = Http.Agent
export const createServer = http.createServer
export const request = http.request
