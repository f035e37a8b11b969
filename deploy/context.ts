import { randomUUID } from 'node:crypto'

/** The context SCF passes beside the event, deadline included. The local gateway and `sls invoke local` give the same. */
export function makeContext(functionName: string, timeLimitMs: number, memoryMb = 256) {
  const startMs = performance.now()
  return {
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, timeLimitMs - (performance.now() - startMs)),
    memory_limit_in_mb: memoryMb,
    time_limit_in_ms: timeLimitMs,
    request_id: randomUUID(),
    environment: '{"SCF_NAMESPACE":"default"}',
    environ: 'SCF_NAMESPACE=default',
    function_version: '$LATEST',
    function_name: functionName,
    namespace: 'default',
    tencentcloud_region: 'ap-guangzhou',
    tencentcloud_appid: '1250000000',
    tencentcloud_uin: '100000000000',
  }
}
