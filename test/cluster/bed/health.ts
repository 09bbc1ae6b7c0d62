/** Questions to servers that are just starting. */
import { get } from 'node:http'
import { get as secureGet } from 'node:https'

const TIMEOUT_MS = 2_000

/** Whether GET gives 200; certificates are not looked at. */
export async function httpAnswers(url: string): Promise<boolean> {
  return (await httpStatus(url)) === 200
}

/** Status of GET; undefined when nobody answers. */
export function httpStatus(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, agent: false }
    const call = url.startsWith('https:')
      ? secureGet(url, { ...options, rejectUnauthorized: false })
      : get(url, options)
    call.on('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    call.on('timeout', () => call.destroy(new Error('timeout')))
    call.on('error', () => resolve(undefined))
  })
}
