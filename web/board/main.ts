import { openBoard, type BoardKey } from './board'
import type { BoardConfig } from './config'

const read = <T>(id: string): T | undefined => {
  const text = document.getElementById(id)?.textContent
  return text ? (JSON.parse(text) as T) : undefined
}

// The local machine puts the key it publishes beside the page; nobody else does.
void openBoard(window, read<BoardConfig>('config')!).start(read<BoardKey>('sandbox'))
