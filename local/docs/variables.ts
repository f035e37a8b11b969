import type { Text } from '../openapi/faults'

/** What a variable of the configuration is, for people. Whether it may be `ssm:NAME`, and numbers' limits, is in the code. */
export type Variable = {
  /** When it has to be there; left out: never. */
  needed?: Text
  /** What it is when it is left out; a number's stands in shared/base/numbers.ts. */
  fallback?: string | Text
  about: Text
}

const text = (en: string, zh: string): Text => ({ zh, en })
const ALWAYS = text('always', '必填')
const numbered = (en: string, zh: string): Variable => ({ about: text(en, zh) })

/** Grouped by who needs them. */
export const GROUPS: readonly { title: Text; variables: Readonly<Record<string, Variable>> }[] = [
  {
    title: text('Every deployment', '每个部署'),
    variables: {
      CLOUD_PAY_OUT_MCH_ID: { needed: ALWAYS, about: text('from the Cloud Pay console', '来自云支付控制台') },
      CLOUD_PAY_OUT_SUB_MCH_ID: {
        needed: ALWAYS,
        about: text('the sub-merchant, from the console', '子商户，来自控制台'),
      },
      CLOUD_PAY_OUT_SHOP_ID: {
        needed: ALWAYS,
        about: text('the shop, from the console', '门店，来自控制台'),
      },
      CLOUD_PAY_ORDER_PREFIX: {
        needed: ALWAYS,
        about: text(
          "the sub-merchant's order prefix (`cloud_cashier_id`), at most 18 characters",
          '子商户的订单前缀（`cloud_cashier_id`），最多 18 个字符',
        ),
      },
      CLOUD_PAY_AUTHEN_KEY: {
        needed: ALWAYS,
        about: text(
          'the authen key exactly as the console shows it: it looks like hex and is not to be decoded',
          '认证密钥，照控制台原样填写：看起来像十六进制，但不要解码',
        ),
      },
      CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: {
        about: text(
          'a second key that is accepted on what comes in while the key is being replaced; it never signs',
          '更换密钥期间验签时也接受的第二把密钥，从不用来签名',
        ),
      },
      CLOUD_PAY_REFUND_OPERATOR: {
        about: text(
          'who refunds, a JSON object: `is_sub_mch_admin`, `authorization_staff_id` (needed when that is false), ' +
            '`authorization_name`, `device_id`, `staff_id`. Without it refunds name nobody, and the live service may refuse ' +
            "them; an order's own device and staff come first",
          '由谁退款，JSON 对象：`is_sub_mch_admin`、`authorization_staff_id`（前者为 false 时必填）、`authorization_name`、' +
            '`device_id`、`staff_id`。不填时退款不指明操作人，线上服务可能拒绝；订单自带的设备与店员优先',
        ),
      },
      DATABASE_URL: {
        needed: text('on SCF', '在 SCF 上必填'),
        fallback: '`.local/orders.db`',
        about: text(
          '`mysql://…` or `postgres://…`; on a laptop also `sqlite:FILE`',
          '`mysql://…` 或 `postgres://…`；本机还可以用 `sqlite:FILE`',
        ),
      },
      DATABASE_CA: {
        about: text(
          'the private CA that TencentDB hands out: certificates in PEM, as text (line breaks may be written `\\n`). Needs ' +
            '`?tls=verify` in DATABASE_URL, or `?tls=verify-ca` where the host is a VIP that the certificate does not name. On a ' +
            'laptop `&ca=FILE` in the URL does the same',
          'TencentDB 提供的私有 CA：PEM 证书文本（换行可以写成 `\\n`）。DATABASE_URL 须带 `?tls=verify`；主机是证书上没有的 VIP 时用 ' +
            '`?tls=verify-ca`。在本机也可以在 URL 里写 `&ca=文件`',
        ),
      },
      DATA_KEYS: {
        needed: text(
          'for `micro_pay` and for sub-merchants in the database',
          '使用 `micro_pay` 或数据库中的子商户时必填',
        ),
        about: text(
          'JSON list of `name`, `secret`: what lies sealed in the database opens with these, and the first seals what is new',
          'JSON 列表，每项 `name`、`secret`：数据库里加密保存的内容用它们解开，新内容用第一把加密',
        ),
      },
      RETENTION_DAYS: numbered(
        'days after which texts and payer ids of an order that is over are purged',
        '订单终结多少天后清除其文本与付款人 id',
      ),
    },
  },
  {
    title: text('Payers', '付款人'),
    variables: {
      CLOUD_PAY_APPS: {
        needed: text('when payers log in', '付款人需要登录时必填'),
        about: text(
          'JSON list of `app_id`, `kind` (`mini_program`, `official_account`, `alipay`), `id_field` (`sub_open_id`, `open_id`, `user_id`), `secret`, `out_sub_mch_id`, `shipping`. For Alipay `secret` is the app’s private key, `alipay_public_key` is Alipay’s, and `"state": false` is for `my.getAuthCode`',
          'JSON 列表，每项 `app_id`、`kind`（`mini_program`、`official_account`、`alipay`）、`id_field`（`sub_open_id`、`open_id`、`user_id`）、`secret`、`out_sub_mch_id`、`shipping`。支付宝的 `secret` 是应用私钥，`alipay_public_key` 是支付宝公钥，`"state": false` 用于 `my.getAuthCode`',
        ),
      },
      SESSION_KEYS: {
        needed: text('with `CLOUD_PAY_APPS`', '有 `CLOUD_PAY_APPS` 时必填'),
        about: text(
          'JSON list of `name`, `secret` (32 characters or more): the first signs sessions, all of them are good',
          'JSON 列表，每项 `name`、`secret`（至少 32 个字符）：第一把签发会话，全部有效',
        ),
      },
      SESSION_LIFE_SECONDS: numbered('how long a session lasts', '会话有效多少秒'),
      PAYER_PRICES: {
        fallback: text('only signed requests order', '只有签名请求可以下单'),
        about: text(
          'where a payer’s price comes from: `quote`, `catalogue` or `quote,catalogue`',
          '付款人下单时价格从哪里来：`quote`、`catalogue` 或 `quote,catalogue`',
        ),
      },
      QUOTE_KEYS: {
        needed: text('with `quote` in `PAYER_PRICES`', '`PAYER_PRICES` 含 `quote` 时必填'),
        about: text(
          'JSON list of `name`, `iss`, `alg`, and `secret` (HS256) or the public `jwk` (ES256, EdDSA)',
          'JSON 列表，每项 `name`、`iss`、`alg`，以及 `secret`（HS256）或公钥 `jwk`（ES256、EdDSA）',
        ),
      },
      DEPLOYMENT_NAME: {
        needed: text('with `quote` in `PAYER_PRICES`', '`PAYER_PRICES` 含 `quote` 时必填'),
        about: text('what the `aud` of a quote calls this deployment', '报价的 `aud` 用来称呼本部署的名字'),
      },
      WECHAT_API_URL: {
        fallback: '`https://api.weixin.qq.com/`',
        about: text('where login codes of WeChat are asked about', '查询微信登录 code 的地址'),
      },
      ALIPAY_GATEWAY_URL: {
        fallback: '`https://openapi.alipay.com/gateway.do`',
        about: text('where login codes of Alipay are asked about', '查询支付宝登录 code 的地址'),
      },
    },
  },
  {
    title: text('The merchant’s server', '商户服务器'),
    variables: {
      MERCHANT_KEYS: {
        needed: text('when your server calls', '你的服务器要调用时必填'),
        about: text(
          'JSON list of `name`, `secret` (32 characters or more), `scopes`, and `out_sub_mch_id` unless it is the first',
          'JSON 列表，每项 `name`、`secret`（至少 32 个字符）、`scopes`，不是第一个子商户时还有 `out_sub_mch_id`',
        ),
      },
      MERCHANT_WEBHOOK_URL: {
        about: text(
          'where your server is told what happened; `https://`',
          '把发生的事告知你的服务器的地址，`https://`',
        ),
      },
      MERCHANT_WEBHOOK_SECRET: {
        needed: text('with `MERCHANT_WEBHOOK_URL`', '有 `MERCHANT_WEBHOOK_URL` 时必填'),
        about: text('`whsec_…`, which signs what is told', '给通知签名的 `whsec_…`'),
      },
      MERCHANT_WEBHOOK_ALLOW_PRIVATE: {
        about: text('`yes`: `http://` and private addresses too', '`yes`：也允许 `http://` 和内网地址'),
      },
      CALLERS: {
        fallback: text('callers log in or sign', '调用方登录或签名'),
        about: text(
          '`open`: anybody may call, on one machine only; `own`: the bundle brings its own `authorize`',
          '`open`：任何人都可以调用，只限单机；`own`：函数包自带 `authorize`',
        ),
      },
    },
  },
  {
    title: text('Limits', '限额'),
    variables: {
      ORDER_MAX_FEN: numbered('the largest single order, in fen', '单笔订单上限，单位分'),
      PAYER_OPEN_ORDERS_MAX: numbered(
        'orders of one payer that may still be paid',
        '一位付款人未完成的订单数',
      ),
      PAYER_ORDERS_PER_MINUTE: numbered('orders of one payer in a minute', '一位付款人每分钟下单数'),
      PAYER_ORDERS_PER_DAY: numbered('and in a day', '一位付款人每天下单数'),
      MERCHANT_ORDERS_PER_MINUTE: numbered(
        'orders of a sub-merchant in a minute; its payers together make at most three quarters of them',
        '一个子商户每分钟下单数；其中付款人合计最多四分之三',
      ),
      PAYER_LOOKS_PER_MINUTE: numbered(
        'questions to Cloud Pay that one payer causes in a minute: refresh, close, a new attempt; a look is up to three calls',
        '一位付款人每分钟引起的查询次数（刷新、关单、重新下单）；一次最多调用云支付三次',
      ),
      MERCHANT_LOOKS_PER_MINUTE: numbered(
        'and at the orders of a sub-merchant by everybody; its payers together use at most three quarters. The timer has its own: CLOUD_PAY_PER_MINUTE',
        '一个子商户的订单每分钟被查询的次数；其中付款人合计最多四分之三。定时器另有自己的份额：CLOUD_PAY_PER_MINUTE',
      ),
      PAYER_REFUNDS_PER_DAY: numbered('refunds to one payer in a day', '一位付款人每天的退款笔数'),
      MERCHANT_REFUNDS_PER_DAY: numbered('refunds of a sub-merchant in a day', '一个子商户每天的退款笔数'),
      REFUND_HOUR_MAX_FEN: numbered(
        'what refunds of a sub-merchant may add up to in an hour, in fen',
        '一个子商户每小时退款总额，单位分',
      ),
      REFUND_DAY_MAX_FEN: numbered('and in a day, in fen', '一个子商户每天退款总额，单位分'),
      LOGINS_PER_ADDRESS: numbered(
        'logins of one address into one app in a minute',
        '一个地址每分钟登录一个应用的次数',
      ),
      LOGINS_PER_MINUTE: numbered(
        'logins of everybody into one app in a minute',
        '所有人每分钟登录一个应用的次数',
      ),
    },
  },
  {
    title: text('Seldom changed', '很少需要改动'),
    variables: {
      ORDER_LIFE_SECONDS: numbered(
        'how long a new order can be paid; a prepay id lives two hours',
        '新订单多少秒内可以支付；预支付单最多有效两小时',
      ),
      CLOSE_NOT_BEFORE: numbered(
        'seconds after the order before which nothing is asked to be closed',
        '下单后多少秒之内不请求关单',
      ),
      LATE_PAYMENT: {
        fallback: '`refund`',
        about: text(
          'money for a closed order: `refund` sends it back, `honour` keeps it',
          '订单关闭后才到的钱：`refund` 退回，`honour` 收下',
        ),
      },
      CLOUD_PAY_OTHER_MERCHANTS: {
        about: text(
          'more sub-merchants: a JSON list of `out_mch_id`, `out_sub_mch_id`, `out_shop_id`, `order_prefix`, `authen_key`, and `refund_operator` if there is one; a request names one by `pay_mch_key.out_sub_mch_id`',
          '更多子商户：JSON 列表，每项 `out_mch_id`、`out_sub_mch_id`、`out_shop_id`、`order_prefix`、`authen_key`，以及可选的 `refund_operator`；请求用 `pay_mch_key.out_sub_mch_id` 指定',
        ),
      },
      CLOUD_PAY_TIMEOUT_MS: numbered(
        'for asking Cloud Pay in all, in ms; never more than the function has left',
        '请求云支付的总时限，单位毫秒；不超过函数剩余的时间',
      ),
      CLOUD_PAY_PER_MINUTE: numbered(
        'orders and refunds the timer asks about, per sub-merchant and minute',
        '定时器每分钟为每个子商户查询的订单与退款数',
      ),
      CLOUD_PAY_BASE_URL: {
        fallback: '`https://pay.qcloud.com/cpay/`',
        about: text('`http://` on loopback only', '`http://` 仅限本机回环地址'),
      },
      CLOUD_PAY_CA: {
        about: text(
          'certificates in PEM, as text, in the place of the built-in roots, for Cloud Pay alone',
          'PEM 证书文本，代替内置根证书来校验云支付',
        ),
      },
      CLOUD_PAY_CA_FILE: {
        about: text(
          'the same in a file of this machine; refused at deploy, because a function has no file beside its own',
          '同上，写在本机的文件里；部署时拒绝，因为函数除自身外没有别的文件',
        ),
      },
      CLOUD_PAY_SPBILL_CREATE_IP: {
        fallback: '`127.0.0.1`',
        about: text('IPv4 of the machine that orders', '下单机器的 IPv4'),
      },
      NOTIFY_REPLY: {
        fallback: '`object`',
        about: text(
          'how a notification is acknowledged: `object`, as a live receiver answers, or `text`, the JSON text of it; the page leaves both open',
          '应答支付通知的形式：`object`（线上接收方的写法），或 `text`（同样内容的 JSON 文本）；文档没有说明是哪一种',
        ),
      },
      OTHER_TILLS: {
        about: text(
          'cash registers of the same sub-merchants, a JSON list of `out_shop_id`, `device_id`, `trade_type` (one entry may name ' +
            'several, and means all of them together). Their payments in the bill and in notifications are counted and not ' +
            'alarmed; a number that this deployment may have made is alarmed whatever is named',
          '同一子商户的其他收银台，JSON 列表，每项可写 `out_shop_id`、`device_id`、`trade_type`（一项写了几个就要同时符合）。' +
            '账单和通知里它们的收款只计数、不告警；可能由本部署生成的单号始终告警',
        ),
      },
      CALLER_NOTIFY_URL: {
        about: text(
          '`caller_notify_url` of every order; normally the address in the console is enough',
          '每个订单的 `caller_notify_url`；通常控制台里的地址就够了',
        ),
      },
      SSM_REGION: {
        fallback: text('the function’s region', '函数所在地域'),
        about: text('where secrets given as `ssm:NAME` are read', '到哪个地域读取写成 `ssm:NAME` 的密钥'),
      },
      SSM_ENDPOINT: {
        fallback: '`ssm.tencentcloudapi.com`',
        about: text('which host is asked for them', '读取密钥的主机'),
      },
      GATEWAY_LISTEN_HOST: {
        about: text('set by the local gateway, not by you', '由本地网关设置，不用你填'),
      },
    },
  },
]

export const VARIABLES: Readonly<Record<string, Variable>> = Object.assign(
  {},
  ...GROUPS.map(({ variables }) => variables),
) as Record<string, Variable>
