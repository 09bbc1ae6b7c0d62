// Waits until the ContainerApp of `helm test` is Ready, by the API server alone. Ends with 0, or with 1 and the reason.
import { readFileSync } from 'node:fs'
import { get } from 'node:https'

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const { APP_NAMESPACE, APP_NAME, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = process.env
const path = `/apis/fairlead.dev/v1alpha1/namespaces/${APP_NAMESPACE}/containerapps/${APP_NAME}`
const deadline = Date.now() + Number(process.env.WAIT_SECONDS) * 1000

function read() {
  const options = {
    host: KUBERNETES_SERVICE_HOST,
    port: KUBERNETES_SERVICE_PORT,
    path,
    ca: readFileSync(`${ACCOUNT}/ca.crt`),
    headers: { authorization: `Bearer ${readFileSync(`${ACCOUNT}/token`, 'utf8').trim()}` },
    timeout: 5000,
  }
  return new Promise((resolve, reject) => {
    const request = get(options, (response) => {
      let text = ''
      response.on('data', (chunk) => (text += chunk))
      response.on('end', () => resolve({ code: response.statusCode, text }))
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error('the API server did not answer in time')))
    request.on('error', reject)
  })
}

function verdict({ code, text }) {
  if (code !== 200) return { words: `the API server answered ${code}` }
  const { metadata, status = {} } = JSON.parse(text)
  const ready = (status.conditions ?? []).find(({ type }) => type === 'Ready')
  if (ready === undefined || status.observedGeneration !== metadata.generation)
    return { words: 'Fairlead has not looked at it yet' }
  return { done: ready.status === 'True', words: `${ready.reason}: ${ready.message}` }
}

let said = ''
for (;;) {
  const { done = false, words } = await read().then(verdict, (error) => ({ words: error.message }))
  if (words !== said) console.log(words)
  said = words
  if (done) process.exit(0)
  if (Date.now() > deadline) process.exit(1)
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
