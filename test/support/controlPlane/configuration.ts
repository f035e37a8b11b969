import type {
  CreateFunctionRequest,
  Environment,
  UpdateFunctionConfigurationRequest,
  Variable,
} from 'tencentcloud-sdk-nodejs-scf/tencentcloud/services/scf/v20180416/scf_models'
import { ApiFault, refuse } from './fault'
import type { Configuration } from './state'

const RUNTIMES =
  /^(Nodejs(6\.10|8\.9|10\.15|12\.16|14\.18|16\.13|18\.15)|Python(2\.7|3\.(6|7|9|10))|Go1|Java8|CustomRuntime)$/
const RESERVED = /^(SCF|QCLOUD|TENCENTCLOUD)_/
const ENVIRONMENT_BYTES = 4096

const DEFAULTS: Configuration = {
  Description: '',
  Handler: '',
  MemorySize: 128,
  Timeout: 3,
  Runtime: 'Python2.7',
  Role: '',
  InitTimeout: 65,
  Variables: [],
  VpcConfig: { VpcId: '', SubnetId: '' },
  ClsLogsetId: '',
  ClsTopicId: '',
  PublicNetConfig: { PublicNetStatus: 'ENABLE', EipConfig: { EipStatus: 'DISABLE', EipAddress: [] } },
  IgnoreSysLog: false,
}

/** Only what a request names changes; a list of variables replaces the one before as a whole. */
export function applyConfiguration(
  before: Configuration | undefined,
  request: CreateFunctionRequest | UpdateFunctionConfigurationRequest,
): Configuration {
  const after: Configuration = structuredClone(before ?? DEFAULTS)
  const { Description, MemorySize, Timeout, Runtime, Role, InitTimeout, Environment, PublicNetConfig } =
    request
  if (Description !== undefined) after.Description = checkDescription(Description)
  if (MemorySize !== undefined) {
    const step = MemorySize === 64 || (MemorySize >= 128 && MemorySize <= 3072 && MemorySize % 128 === 0)
    refuse(!step, 'InvalidParameterValue.MemorySize')
    after.MemorySize = MemorySize
  }
  if (Timeout !== undefined) {
    refuse(!Number.isInteger(Timeout) || Timeout < 1 || Timeout > 900, 'LimitExceeded.Timeout')
    after.Timeout = Timeout
  }
  if (Runtime !== undefined) {
    refuse(!RUNTIMES.test(Runtime), 'InvalidParameterValue.Runtime', `${Runtime} is no runtime.`)
    const changed = before !== undefined && before.Runtime !== Runtime
    refuse(changed, 'InvalidParameterValue.Runtime', 'The runtime of a function cannot be changed.')
    after.Runtime = Runtime
  }
  if (InitTimeout !== undefined) {
    refuse(InitTimeout < 3 || InitTimeout > 300, 'LimitExceeded.InitTimeout')
    after.InitTimeout = InitTimeout
  }
  if (Role !== undefined) after.Role = Role
  if (Environment !== undefined) after.Variables = applyVariables(after.Variables, Environment)
  const vpc = request.VpcConfig
  if (vpc !== undefined) {
    const half = !vpc.VpcId !== !vpc.SubnetId
    refuse(half, 'ResourceNotFound.Vpc', 'A VPC needs its subnet.')
    after.VpcConfig = { VpcId: vpc.VpcId ?? '', SubnetId: vpc.SubnetId ?? '' }
  }
  if (request.ClsLogsetId !== undefined) after.ClsLogsetId = request.ClsLogsetId
  if (request.ClsTopicId !== undefined) after.ClsTopicId = request.ClsTopicId
  if (PublicNetConfig !== undefined) {
    const { PublicNetStatus, EipConfig } = PublicNetConfig
    const EipStatus = EipConfig?.EipStatus ?? after.PublicNetConfig.EipConfig.EipStatus
    for (const value of [PublicNetStatus, EipStatus]) {
      refuse(value !== 'ENABLE' && value !== 'DISABLE', 'InvalidParameterValue.PublicNetConfig')
    }
    const EipAddress = EipStatus === 'ENABLE' ? ['203.0.113.7'] : []
    after.PublicNetConfig = { PublicNetStatus, EipConfig: { EipStatus, EipAddress } }
  }
  if ('IgnoreSysLog' in request && request.IgnoreSysLog !== undefined)
    after.IgnoreSysLog = request.IgnoreSysLog
  return after
}

/** No list, or an empty one, changes nothing; one nameless variable removes them all, as Terraform's provider sends it. */
function applyVariables(before: Variable[], { Variables = [] }: Environment): Variable[] {
  if (Variables.length === 0) return before
  const [first] = Variables
  if (Variables.length === 1 && first?.Key === '' && first.Value === '') return []
  const keys = new Set<string>()
  let bytes = 0
  for (const { Key = '', Value } of Variables) {
    const lawful = /^[A-Za-z]\w*$/.test(Key) && typeof Value === 'string' && Value !== ''
    refuse(
      !lawful || keys.has(Key),
      'InvalidParameterValue.Environment',
      `The variable ${Key} is not lawful.`,
    )
    refuse(RESERVED.test(Key), 'InvalidParameterValue.EnvironmentSystemProtect', `${Key} is the platform's.`)
    keys.add(Key)
    bytes += Buffer.byteLength(Key) + Buffer.byteLength(Value ?? '')
  }
  refuse(bytes > ENVIRONMENT_BYTES, 'InvalidParameterValue.EnvironmentExceededLimit')
  return structuredClone(Variables)
}

export function checkDescription(text: string): string {
  const lawful = /^[\p{Script=Han}A-Za-z0-9 ,.\n]*$/u.test(text) && text.length <= 1000
  if (!lawful) throw new ApiFault('InvalidParameterValue.Description', 'The description is not lawful.')
  return text
}
