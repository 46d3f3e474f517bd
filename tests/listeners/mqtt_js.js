// `mqtt_js.js TRANSPORT PORT [CA]` sends itself messages; ends with 0 when they came as expected.
'use strict'

const assert = require('assert')
const fs = require('fs')
const mqtt = require('mqtt')

const PATIENCE_MS = 60000
const COUNT = 500

async function main () {
  const [transport, port, ca] = process.argv.slice(2)
  const scheme = { tcp: ['mqtt', 'mqtts'], websockets: ['ws', 'wss'] }[transport][ca ? 1 : 0]
  const options = { clientId: 'mqtt-js', protocolVersion: 4, reconnectPeriod: 0 }
  if (ca) options.ca = fs.readFileSync(ca)
  const client = await mqtt.connectAsync(`${scheme}://localhost:${port}/any/path`, options)
  const received = []
  let wake = () => {}
  client.on('message', (topic, payload, packet) => {
    received.push({ qos: packet.qos, payload })
    wake()
  })
  const next = async () => {
    while (received.length === 0) await new Promise(resolve => { wake = resolve })
    return received.shift()
  }
  await client.subscribeAsync('echo', { qos: 2 })
  const large = Buffer.alloc(256000, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)))
  for (const qos of [0, 1, 2]) {
    await client.publishAsync('echo', large, { qos })
    const message = await next()
    assert.strictEqual(message.qos, qos)
    assert(message.payload.equals(large))
  }
  for (let number = 0; number < COUNT; number++) client.publish('echo', String(number), { qos: 1 })
  for (let number = 0; number < COUNT; number++) assert.strictEqual((await next()).payload.toString(), String(number))
  await client.endAsync()
  console.log('as expected')
}

setTimeout(() => { console.error('not in time'); process.exit(1) }, PATIENCE_MS).unref()
main().catch(error => { console.error(error); process.exit(1) })
