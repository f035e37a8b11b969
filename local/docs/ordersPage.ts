/** Who opens /orders in a browser: orders are made there by POST, and none are listed to strangers. */
export const ordersPage = () => ({
  headers: {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy':
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
  },
  body: `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>/orders</title>
<p>这里是下单的接口：<code>POST /orders</code> 下单，<code>GET /orders/{out_trade_no}</code> 读取自己的订单。浏览器直接打开看不到订单：
<a href="/">控制台</a>里可以付款，<a href="/board/">看板</a>里有全部订单，<a href="/docs/zh/api">文档</a>里有每个字段。</p>
<p lang="en">This is where orders are made: <code>POST /orders</code> makes one, <code>GET /orders/{out_trade_no}</code> reads one of
your own. A browser sees none of them here: pay in the <a href="/">console</a>, see all of them on the <a href="/board/">board</a>,
read about every field in the <a href="/docs/en/api">guides</a>.</p>
</html>
`,
})
