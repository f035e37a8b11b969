import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

/**
 * Where a URL that somebody else chose may lead. This process can reach what the internet cannot: its own host, the
 * private network, the platform's metadata service. So the host is resolved once, every address it has is looked at,
 * and whoever connects is given the address and not the name: a name could mean something else a moment later.
 */
export type Destination = { target: URL; address: string; family: 4 | 6 }

export type Resolve = (host: string) => Promise<{ address: string; family: number }[]>

export const resolveHost: Resolve = (host) => lookup(host, { all: true, verbatim: true })

/** Nothing was connected to. */
export class Refused extends Error {
  override readonly name = 'Refused'

  constructor(
    /** `address_refused`: the host has an address that is not on the public internet. */
    readonly code: 'url_refused' | 'host_unknown' | 'address_refused',
    options?: { cause: unknown },
  ) {
    super(code, options)
  }
}

/** `allowPrivate`: for one machine and for tests; then http will do as well. */
export async function findDestination(
  url: string,
  allowPrivate: boolean,
  resolve: Resolve,
): Promise<Destination> {
  const target = readTarget(url, allowPrivate)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  const addresses = isIP(host) ? [{ address: host, family: isIP(host) }] : await addressesOf(host, resolve)
  // One bad address is enough: a host that is inside and outside at once is a trap, or a mistake.
  if (!allowPrivate && !addresses.every(({ address }) => isPublic(address)))
    throw new Refused('address_refused')
  // SCF speaks IPv4; whether it has a way out for IPv6 depends on the network it was put into.
  const { address } = addresses.find(({ family }) => family === 4) ?? addresses[0]!
  return { target, address, family: isIP(address) === 4 ? 4 : 6 }
}

function readTarget(url: string, allowPrivate: boolean): URL {
  let target
  try {
    target = new URL(url)
  } catch {
    // Without the cause: it would quote the URL, and there may be a secret in it.
    throw new Refused('url_refused')
  }
  const { protocol, hostname, username, password } = target
  if (protocol !== 'https:' && !(protocol === 'http:' && allowPrivate)) throw new Refused('url_refused')
  // A trailing dot: no certificate has a name like that.
  if (username || password || hostname === '' || hostname.endsWith('.')) throw new Refused('url_refused')
  return target
}

async function addressesOf(host: string, resolve: Resolve) {
  let addresses
  try {
    addresses = await resolve(host)
  } catch (cause) {
    throw new Refused('host_unknown', { cause })
  }
  if (addresses.length === 0) throw new Refused('host_unknown')
  return addresses
}

/** IANA's special-purpose registry, as far as it is not the public internet. */
const SPECIAL_IPV4 = blockList('ipv4', [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT; Tencent Cloud's own services
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local; metadata services, Tencent Cloud's DNS among them
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
])

/**
 * All of IPv6 that is handed out so far. What lies outside needs no list: loopback, link-local, unique local,
 * multicast, and IPv4 in disguise (mapped, compatible, NAT64).
 */
const GLOBAL_IPV6 = blockList('ipv6', ['2000::/3'])

const SPECIAL_IPV6 = blockList('ipv6', [
  '2001::/23', // protocol assignments; Teredo, which is IPv4 in disguise
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: IPv4 in disguise
  '3fff::/20', // documentation
])

function blockList(family: 'ipv4' | 'ipv6', subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [network, prefix] = subnet.split('/')
    list.addSubnet(network!, Number(prefix), family)
  }
  return list
}

/** True for an address on the public internet. What is no address at all is not public: BlockList would let it by. */
export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !SPECIAL_IPV4.check(address, 'ipv4')
    case 6:
      // With a zone (%eth0) it is about a network we are in.
      return (
        !address.includes('%') && GLOBAL_IPV6.check(address, 'ipv6') && !SPECIAL_IPV6.check(address, 'ipv6')
      )
    default:
      return false
  }
}
