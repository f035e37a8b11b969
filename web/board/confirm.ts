import { at, button, dialog, facts, say } from './dom'

/** What came of it: done (with a word for the toast), refused, or not known, and then `again` is offered. */
export type Verdict = { done: string } | { no: string } | { unsure: string; again: string }

export type Question = {
  title: string
  facts: readonly (readonly [string, string])[]
  /** A text the person has to write. */
  field?: string
  yes: string
  run: (text: string) => Promise<Verdict>
}

/** One question at a time, and one answer to it: while it is being carried out, no second click is heard. */
export function openConfirm(onEnd: (toast?: string) => void) {
  const box = dialog('confirm')
  const text = at('confirm-text') as HTMLTextAreaElement
  let asked: Question | undefined
  let busy = false
  let told: string | undefined

  const setBusy = (is: boolean) => {
    busy = is
    button('confirm-yes').disabled = is
    button('confirm-no').disabled = is
    box.setAttribute('aria-busy', String(is))
  }

  async function carryOut(): Promise<void> {
    if (!asked || busy) return
    const note = text.value.trim()
    if (asked.field !== undefined && note === '') {
      say('confirm-told', '请填写。')
      return text.focus()
    }
    setBusy(true)
    say('confirm-told', '正在提交…')
    const mine = asked
    const verdict = await mine.run(note)
    // Closed by force, perhaps another is being asked: the answer is not about that one.
    if (mine !== asked) return onEnd('done' in verdict ? verdict.done : undefined)
    setBusy(false)
    if ('done' in verdict) {
      told = verdict.done
      return box.close()
    }
    say('confirm-told', 'no' in verdict ? verdict.no : verdict.unsure)
    say('confirm-no', '关闭')
    const offered = button('confirm-yes')
    offered.hidden = 'no' in verdict
    if ('unsure' in verdict) say('confirm-yes', verdict.again)
    ;(offered.hidden ? button('confirm-no') : offered).focus()
  }

  at('confirm-form').addEventListener('submit', (event) => {
    event.preventDefault()
    void carryOut()
  })
  at('confirm-no').addEventListener('click', () => box.close())
  box.addEventListener('cancel', (event) => {
    if (busy) event.preventDefault()
  })
  box.addEventListener('close', () => {
    asked = undefined
    const word = told
    told = undefined
    onEnd(word)
  })

  return {
    isOpen: () => box.open,
    close: () => box.close(),
    ask(question: Question): void {
      asked = question
      say('confirm-title', question.title)
      at('confirm-facts').replaceChildren(...facts(question.facts))
      at('confirm-field').hidden = question.field === undefined
      say('confirm-label', question.field ?? '')
      text.value = ''
      say('confirm-told', '')
      say('confirm-yes', question.yes)
      say('confirm-no', '取消')
      button('confirm-yes').hidden = false
      setBusy(false)
      box.showModal()
      // What would move money is not what Enter touches first.
      ;(question.field === undefined ? button('confirm-no') : text).focus()
    },
  }
}
export type Confirm = ReturnType<typeof openConfirm>
