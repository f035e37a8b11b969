/** Something the person at the terminal can act on: one sentence on what is wrong and what to do. */
export class DeployFault extends Error {
  override readonly name = 'DeployFault'

  constructor(
    message: string,
    /** The API's code, or one of ours in capitals. */
    readonly code: string,
    readonly requestId?: string,
  ) {
    super(message)
  }
}
