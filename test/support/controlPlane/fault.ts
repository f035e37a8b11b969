/** An error as the API answers it. Codes are the API's own; messages only hint at what it says. */
export class ApiFault extends Error {
  constructor(
    readonly code: string,
    message: string = code,
  ) {
    super(message)
  }
}

export function refuse(condition: boolean, code: string, message?: string): void {
  if (condition) throw new ApiFault(code, message)
}
