import type { Secret } from '../../shared/base/secrets'
import * as rewrite from './rewrite'

/**
 * What can be wrong with a signature: each cause with its sentence, its cure, and what the signer would then have had
 * in hand. Trying them is diagnose.ts's work.
 */

export type Keys = { own: Secret; others: readonly { name: string; key: Secret }[] }

type Words = { zh: string; en: string }
type Remedy = Words & { code: string; cure: Words }

/** `note` says which of several it was: a merchant's name, a line break, a writer. Never a key, never a code. */
export type Finding = Remedy & { note?: string }

/** What the signer is supposed to have had in hand. */
export type Trial = { text: string; key: Buffer; code: string }
type Change = Partial<Trial> & { note?: string }

/** The rest of the envelope, which some causes need. */
export type Surroundings = { member: string; spelling: string; body: string; others: Keys['others'] }

export type Cause = Remedy & { candidates: (trial: Trial, around: Surroundings) => Change[] }

export const BOM = '\ufeff'

// ── what can be seen without a key ─────────────────────────────────────────────────────────────────────────────

const FLAWS = {
  not_utf8: {
    zh: '报文不是 UTF-8 编码。',
    en: 'The body is not UTF-8.',
    cure: {
      zh: '以 UTF-8 发送；若只是抓包时被转码，请重新按原始字节保存。',
      en: 'Send UTF-8; if only the capture was converted, save the raw bytes again.',
    },
  },
  body_starts_with_bom: {
    zh: '报文以 BOM（EF BB BF）开头，不是合法的 JSON。',
    en: 'The body starts with a byte order mark (EF BB BF), which is not JSON.',
    cure: { zh: '发送方去掉 BOM。', en: 'Have the sender leave the mark out.' },
  },
  not_json: {
    zh: '报文不是 JSON 对象。',
    en: 'The body is not a JSON object.',
    cure: {
      zh: '保存完整的原始 HTTP 正文；内容里的引号必须转义。',
      en: 'Capture the whole raw HTTP body; quotes inside the content must be escaped.',
    },
  },
  content_missing: {
    zh: '没有 request_content，也没有 response_content。',
    en: 'There is neither request_content nor response_content.',
    cure: { zh: '检查保存的是不是外层报文。', en: 'Check that the capture is the outer body.' },
  },
  content_not_a_string: {
    zh: '内容是对象，应当是装着 JSON 的字符串。',
    en: 'The content is an object; it must be a string that holds JSON.',
    cure: {
      zh: '先把内层序列化成字符串并签名，再把同一个字符串放进外层。',
      en: 'Serialise the inner object once, sign that text, and put that same text into the outer object.',
    },
  },
  authen_info_missing: {
    zh: '没有 authen_info，报文未签名。',
    en: 'authen_info is missing: the message is not signed.',
    cure: {
      zh: '不要相信其中任何内容；发送方必须签名，成功的应答不会没有签名。',
      en: 'Believe nothing in it; the sender must sign, and no answer of success comes without a code.',
    },
  },
  unsigned_failure: {
    zh: '这是没有 authen_info 的失败应答，协议允许，无从验证。',
    en: 'This is a failing answer without authen_info, which the protocol allows; there is nothing to verify.',
    cure: { zh: '除状态码外什么都不要采信。', en: 'Take nothing from it but its status.' },
  },
  authen_info_malformed: {
    zh: 'authen_info 里没有 a.authen_code 文本。',
    en: 'authen_info holds no text a.authen_code.',
    cure: {
      zh: '按 {"a":{"authen_type":1,"authen_code":"…"}} 发送；RSA 签名（s）不在此验证。',
      en: 'Send {"a":{"authen_type":1,"authen_code":"…"}}; an RSA signature (s) is not verified here.',
    },
  },
  authen_type_wrong: {
    zh: 'authen_type 不是数字 1（HMAC-SHA256）。',
    en: 'authen_type is not the number 1 (HMAC-SHA256).',
    cure: { zh: '发送数字 1，不要加引号。', en: 'Send the number 1, without quotes.' },
  },
  code_malformed: {
    zh: 'authen_code 不是 64 位十六进制。',
    en: 'The authen_code is not 64 hex digits.',
    cure: {
      zh: '检查是否截断，以及是否用了 HMAC-SHA256。',
      en: 'Check for truncation, and that it is HMAC-SHA256.',
    },
  },
  unexplained: {
    zh: '没有一个已知原因与这个 authen_code 相符。',
    en: 'No known cause fits this authen_code.',
    cure: {
      zh: '在控制台核对密钥；用 --sent 给出发送方日志里真正签名的文本。',
      en: 'Check the key in the console; give the text that was really signed with --sent.',
    },
  },
} as const satisfies Record<string, Words & { cure: Words }>

export type FlawCode = keyof typeof FLAWS

export const flaw = (code: FlawCode, note?: string): Finding => ({
  code,
  ...FLAWS[code],
  ...(note === undefined ? {} : { note }),
})

// ── what only the code can tell ────────────────────────────────────────────────────────────────────────────────

const SIGN_THEN_SEND: Words = {
  zh: '内容只序列化一次：签名、发送、验证都用同一个字符串，不要解析后再生成。',
  en: 'Serialise once: sign, send and verify that one string, never parse it and write it again.',
}
const KEY_AS_SHOWN: Words = {
  zh: '照控制台显示的样子原样使用密钥，不改大小写、不解码、不带空白或引号。',
  en: 'Use the key exactly as the console shows it: case unchanged, not decoded, no blanks, no quotes.',
}
const UPPER_HEX: Words = {
  zh: '发送 64 位大写十六进制，前后不带空白。',
  en: 'Send 64 upper-case hex digits with nothing around them.',
}

/** From the narrow to the wide: where two fit, the first is the more exact. */
export const CAUSES: readonly Cause[] = [
  {
    code: 'lower_case_code',
    zh: 'authen_code 不全是大写。',
    en: 'The authen_code is not all upper case.',
    cure: UPPER_HEX,
    candidates: ({ code }) => [{ code: code.toUpperCase() }],
  },
  {
    code: 'code_with_blanks',
    zh: 'authen_code 前后有空白或换行。',
    en: 'The authen_code has a blank or line break around it.',
    cure: UPPER_HEX,
    candidates: ({ code }) => [{ code: code.trim() }],
  },
  {
    code: 'code_in_base64',
    zh: 'authen_code 是 base64，不是十六进制。',
    en: 'The authen_code is base64, not hex.',
    cure: UPPER_HEX,
    candidates: ({ code }) =>
      /^[\w+/-]{43}=?$/.test(code)
        ? [{ code: Buffer.from(code, 'base64').toString('hex').toUpperCase() }]
        : [],
  },
  {
    code: 'other_merchants_key',
    zh: '签名用的是另一个已配置商户的密钥。',
    en: 'It was signed with the key of another configured merchant.',
    cure: {
      zh: '核对商户号与密钥是否配对，以及回调是否发到了正确的环境。',
      en: 'Check that merchant and key belong together, and that it was sent to the right deployment.',
    },
    candidates: (_, { others }) =>
      others.map(({ name, key }) => ({ key: Buffer.from(key.reveal(), 'utf8'), note: name })),
  },
  {
    code: 'key_blank_here',
    zh: '本机配置的密钥首尾多了空白或换行。',
    en: 'The key configured here has a stray blank or line break at an end.',
    cure: KEY_AS_SHOWN,
    candidates: keys((key) => [[key.trim()]]),
  },
  {
    code: 'key_blank_there',
    zh: '签名方的密钥首尾多了空白、换行或 BOM。',
    en: "The signer's key has a stray blank, line break or byte order mark at an end.",
    cure: KEY_AS_SHOWN,
    candidates: keys((key) => [
      [`${key}\n`, 'LF'],
      [`${key}\r\n`, 'CRLF'],
      [`${key}\r`, 'CR'],
      [`${key} `, 'blank after'],
      [` ${key}`, 'blank before'],
      [`${key}\t`, 'tab'],
      [`${BOM}${key}`, 'BOM'],
    ]),
  },
  {
    code: 'key_quoted',
    zh: '引号被当成了密钥的一部分。',
    en: 'Quotes were taken for a part of the key.',
    cure: KEY_AS_SHOWN,
    candidates: keys((key) => [
      [`"${key}"`, "the signer's"],
      [`'${key}'`, "the signer's"],
      [key.replace(/^(["'])(.*)\1$/, '$2'), 'configured here'],
    ]),
  },
  {
    code: 'key_letter_case',
    zh: '签名方的密钥与本机配置的大小写不同。',
    en: "The signer's key has other letter case than the one configured here.",
    cure: KEY_AS_SHOWN,
    candidates: keys((key) => [
      [key.toUpperCase(), "the signer's is upper case"],
      [key.toLowerCase(), "the signer's is lower case"],
    ]),
  },
  {
    code: 'key_hex_decoded',
    zh: '签名方把密钥按十六进制解码了。',
    en: 'The signer decoded the key from hex.',
    cure: KEY_AS_SHOWN,
    candidates: ({ key }) =>
      /^([0-9a-f]{2})+$/i.test(key.toString('latin1'))
        ? [{ key: Buffer.from(key.toString('latin1'), 'hex') }]
        : [],
  },
  {
    code: 'content_trimmed',
    zh: '签名时内容末尾有换行，收到时没有了。',
    en: 'The content ended with a line break or blank when it was signed, and arrived without it.',
    cure: {
      zh: '不要裁剪内容：末尾的换行也在签名之内。',
      en: 'Do not trim the content: the line break at its end is signed too.',
    },
    candidates: texts((text) => [
      [`${text}\n`, 'LF'],
      [`${text}\r\n`, 'CRLF'],
      [`${text}\r`, 'CR'],
      [`${text} `, 'blank'],
    ]),
  },
  {
    code: 'content_newline_added',
    zh: '内容首尾多了签名时没有的换行或空白。',
    en: 'The content arrived with a line break or blank at an end that was not there when it was signed.',
    cure: {
      zh: '先定下文本再签名，签名之后不要再加换行。',
      en: 'Finish the text before signing it and add no line break after.',
    },
    candidates: texts((text) => [
      [text.replace(/\r?\n$/, ''), 'line break'],
      [text.replace(/[ \t\r\n]+$/, ''), 'blanks after'],
      [text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''), 'blanks around'],
    ]),
  },
  {
    code: 'line_ends_changed',
    zh: '内容里的换行符被转换了（LF 与 CRLF）。',
    en: 'The line breaks inside the content were converted (LF and CRLF).',
    cure: { zh: '以二进制方式传送，不要转换换行符。', en: 'Carry it as bytes and convert no line ends.' },
    candidates: texts((text) => [
      [text.replace(/\r\n/g, '\n'), 'signed with LF'],
      [text.replace(/\r?\n/g, '\r\n'), 'signed with CRLF'],
    ]),
  },
  {
    code: 'content_bom',
    zh: '内容开头的 BOM 在签名与收到时不一致。',
    en: 'The content was signed with a byte order mark and arrived without, or the other way round.',
    cure: { zh: '两边都不要带 BOM。', en: 'Leave the mark out on both sides.' },
    candidates: texts((text) =>
      text.startsWith(BOM) ? [[text.slice(1), 'signed without']] : [[`${BOM}${text}`, 'signed with']],
    ),
  },
  {
    code: 'slash_escapes',
    zh: '斜杠的转义（\\/，PHP 写法）在签名后变了。',
    en: "The escapes of slashes (\\/, PHP's) changed after signing.",
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => [
      [rewrite.withSlashEscapes(text), 'signed with \\/'],
      [rewrite.withoutSlashEscapes(text), 'signed with /'],
      [
        rewrite.escaped(rewrite.withSlashEscapes(text), rewrite.NOT_ASCII),
        'signed with \\/ and \\uxxxx: json_encode',
      ],
    ]),
  },
  {
    code: 'html_escapes',
    zh: "= & ' < > 的 \\u00xx 转义（Gson、Go 写法）在签名后变了。",
    en: "The \\u00xx escapes of = & ' < > (Gson's, Go's) changed after signing.",
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => [
      [rewrite.escaped(text, rewrite.GSON_ESCAPED), 'signed as Gson writes'],
      [rewrite.escaped(text, rewrite.GO_ESCAPED), 'signed as Go writes'],
      [rewrite.unescaped(text, rewrite.GSON_ESCAPED), 'signed without them'],
    ]),
  },
  {
    code: 'unicode_escapes',
    zh: '\\uXXXX 转义在签名后变了（大小写，或与 UTF-8 原文互换）。',
    en: 'The \\uXXXX escapes changed after signing: their case, or to and from raw UTF-8.',
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => [
      [rewrite.withHexCase(text, 'lower'), 'signed with \\uxxxx'],
      [rewrite.withHexCase(text, 'upper'), 'signed with \\uXXXX'],
      [
        rewrite.escaped(rewrite.withHexCase(text, 'lower'), rewrite.NOT_ASCII, 'lower'),
        'signed with \\uxxxx',
      ],
      [
        rewrite.escaped(rewrite.withHexCase(text, 'upper'), rewrite.NOT_ASCII, 'upper'),
        'signed with \\uXXXX',
      ],
      [rewrite.unescaped(text, rewrite.NOT_ASCII), 'signed as raw UTF-8'],
    ]),
  },
  {
    code: 'numbers_as_floats',
    zh: '整数与浮点数的写法（100 与 100.0）在签名后变了。',
    en: 'Whole numbers were rewritten as floats, or back, after signing (100 and 100.0).',
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => [
      [rewrite.withFloats(text), 'signed with 100.0'],
      [rewrite.withoutFloats(text), 'signed with 100'],
    ]),
  },
  {
    code: 'spaced_separators',
    zh: '签名的是分隔符后带空格的 JSON（Python json.dumps 的默认写法）。',
    en: "What was signed has blanks after its separators, as Python's json.dumps writes.",
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => [
      [rewrite.withSeparators(text, ', ', ': '), 'escapes unchanged'],
      [rewrite.escaped(rewrite.withSeparators(text, ', ', ': '), rewrite.NOT_ASCII), 'with \\uxxxx'],
    ]),
  },
  {
    code: 'reserialised',
    zh: '内容被解析后重新生成过，与签名的文本不同。',
    en: 'The content was parsed and written again: the signed text is spelled differently.',
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => [
      [rewrite.withSeparators(text, ',', ':'), 'signed without blanks'],
      [rewrite.reserialised(text), 'signed as JSON.stringify writes'],
      [rewrite.reserialised(text, 2), 'signed with indent 2'],
      [rewrite.reserialised(text, 4), 'signed with indent 4'],
    ]),
  },
  {
    code: 'sorted_keys',
    zh: '签名的是键名排过序的 JSON。',
    en: 'What was signed has its members sorted by name.',
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => {
      const sorted = rewrite.sorted(text)
      const spaced = rewrite.withSeparators(sorted, ', ', ': ')
      return [
        [sorted, 'compact'],
        [spaced, 'spaced'],
        [rewrite.escaped(sorted, rewrite.NOT_ASCII), 'compact, with \\uxxxx'],
        [rewrite.escaped(spaced, rewrite.NOT_ASCII), 'spaced, with \\uxxxx'],
      ]
    }),
  },
  {
    code: 'signed_escaped_text',
    zh: '签名的是外层转义后的文本（带反斜杠），应当签解码后的字符串。',
    en: 'The text was signed as escaped in the outer object (with backslashes), not the decoded string.',
    cure: {
      zh: '先对内层文本签名，再交给外层序列化去转义。',
      en: 'Sign the inner text first and let the outer serialiser escape it afterwards.',
    },
    candidates: (trial, { spelling }) =>
      texts((text) => [
        [spelling, 'with its quotes'],
        [spelling.slice(1, -1), 'without its quotes'],
        [JSON.stringify(text), 'with its quotes'],
        [JSON.stringify(text).slice(1, -1), 'without its quotes'],
      ])(trial),
  },
  {
    code: 'encoded_twice',
    zh: '内容被多序列化了一次：字符串里又是一个 JSON 字符串。',
    en: 'The content was serialised once too often: the string holds another JSON string.',
    cure: SIGN_THEN_SEND,
    candidates: texts((text) => {
      const inner = rewrite.parse(text)
      return typeof inner === 'string' ? [[inner]] : []
    }),
  },
  {
    code: 'signed_outer_body',
    zh: '签名的是整个外层报文，应当只签内容字符串。',
    en: 'The whole outer body was signed; only the content string must be.',
    cure: {
      zh: '只对 request_content（或 response_content）的字符串值签名。',
      en: 'Sign only the string value of request_content or response_content.',
    },
    candidates: (trial, { member, spelling, body }) =>
      texts((text) =>
        [spelling, JSON.stringify(text)].flatMap((content): [string, string][] => [
          [`{"${member}":${content}}`, 'without authen_info'],
          [`{"${member}": ${content}}`, 'without authen_info'],
          [`{"${member}":${content},"authen_info":{}}`, 'with an empty authen_info'],
          [`{"${member}":${content},"authen_info":null}`, 'with an empty authen_info'],
          [`{"${member}":${content},"authen_info":{"a":{"authen_type":1}}}`, 'without the code'],
          [body.replace(`"${trial.code}"`, '""'), 'with an empty code'],
        ]),
      )(trial),
  },
]

type Spelling = [text: string, note?: string]

function texts(spellings: (text: string) => Spelling[]) {
  return ({ text }: Trial): Change[] =>
    distinct(text, spellings(text)).map(([other, note]) => ({ text: other, ...note }))
}

function keys(spellings: (key: string) => Spelling[]) {
  return ({ key }: Trial): Change[] => {
    const text = key.toString('utf8')
    return distinct(text, spellings(text)).map(([other, note]) => ({
      key: Buffer.from(other, 'utf8'),
      ...note,
    }))
  }
}

/** Only what differs from what we have, each once. Where two notes lead to one text, neither can be told apart. */
function distinct(own: string, spellings: Spelling[]): [string, { note?: string }][] {
  const notes = new Map<string, Set<string>>()
  for (const [text, note] of spellings) {
    if (text === own || text === '') continue
    const known = notes.get(text) ?? new Set()
    notes.set(text, note === undefined ? known : known.add(note))
  }
  return [...notes].map(([text, known]) => [text, known.size > 0 ? { note: [...known].join(', or ') } : {}])
}
