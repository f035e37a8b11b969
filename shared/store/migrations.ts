import { sql, type Kysely, type Migration } from 'kysely'
import type { Dialect } from '../base/databaseUrl'
import {
  addCheckedColumn,
  KEPT_INDEX,
  LONG_TEXT,
  lookIndex,
  MARK_INDEX,
  NUMBER_INDEX,
  TABLE_OPTIONS,
} from './dialect'

/**
 * Every change of the schema, in order, as a plain list: nothing is searched for on a disk that a function has not.
 * A landed migration is never edited. Changes only add, so that the version before keeps working on the new tables.
 */
export const migrations = (dialect: Dialect): Record<string, Migration> => ({
  '0001_orders': {
    async up(db: Kysely<unknown>) {
      const longText = sql.raw(LONG_TEXT[dialect])
      const options = sql.raw(TABLE_OPTIONS[dialect])
      await sql`
        CREATE TABLE orders (
          out_sub_mch_id varchar(32) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          out_mch_id varchar(32) NOT NULL,
          out_shop_id varchar(32) NOT NULL,
          pay_platform integer NOT NULL,
          trade_type integer NOT NULL,
          total_fee integer NOT NULL,
          fee_type varchar(3) NOT NULL,
          payer_field varchar(32) NOT NULL,
          payer_id varchar(128) NOT NULL,
          caller varchar(64) NOT NULL,
          idempotency_key varchar(255),
          content_hash varchar(64) NOT NULL,
          request_content ${longText} NOT NULL,
          state varchar(16) NOT NULL,
          version integer NOT NULL,
          flag varchar(32),
          created_at bigint NOT NULL,
          updated_at bigint NOT NULL,
          time_expire bigint NOT NULL,
          sends integer NOT NULL,
          lease_token integer NOT NULL,
          lease_holder varchar(32) NOT NULL,
          lease_until_ms bigint NOT NULL,
          looked_at_ms bigint NOT NULL,
          jsapi_args ${longText},
          transaction_id varchar(64),
          paid_at bigint,
          cash_fee bigint,
          settlement_total_fee bigint,
          wallet_state integer,
          PRIMARY KEY (out_sub_mch_id, out_trade_no),
          CONSTRAINT orders_idempotency_key UNIQUE (out_sub_mch_id, caller, idempotency_key),
          CONSTRAINT orders_total_fee_positive CHECK (total_fee > 0)
        ) ${options}`.execute(db)
      await sql`
        CREATE TABLE order_events (
          out_sub_mch_id varchar(32) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          seq integer NOT NULL,
          at bigint NOT NULL,
          kind varchar(16) NOT NULL,
          from_state varchar(16),
          to_state varchar(16) NOT NULL,
          detail ${longText} NOT NULL,
          PRIMARY KEY (out_sub_mch_id, out_trade_no, seq)
        ) ${options}`.execute(db)
    },
  },
  '0002_true_to_the_end': {
    async up(db: Kysely<unknown>) {
      const longText = sql.raw(LONG_TEXT[dialect])
      const options = sql.raw(TABLE_OPTIONS[dialect])
      for (const column of [
        'merchant_order_id varchar(64)',
        'purchase_slot varchar(64)',
        'next_due_at_ms bigint',
        'looks integer NOT NULL DEFAULT 0',
        'fruitless integer NOT NULL DEFAULT 0',
        'not_founds integer NOT NULL DEFAULT 0',
        'notified_at_ms bigint',
        'refunded_fen integer NOT NULL DEFAULT 0',
        'late_policy varchar(8)',
      ]) {
        await sql`ALTER TABLE orders ADD COLUMN ${sql.raw(column)}`.execute(db)
      }
      // The guarded UPDATE is the first lock on money, this the second.
      for (const statement of addCheckedColumn(
        dialect,
        'orders',
        'reserved_fen integer NOT NULL DEFAULT 0',
        'orders_reserved_within_total',
        'reserved_fen >= refunded_fen AND reserved_fen <= total_fee',
      )) {
        await sql.raw(statement).execute(db)
      }
      await sql`CREATE UNIQUE INDEX orders_purchase ON orders (out_sub_mch_id, purchase_slot)`.execute(db)
      await sql`CREATE INDEX orders_due ON orders (out_sub_mch_id, next_due_at_ms)`.execute(db)
      await sql`CREATE INDEX orders_created ON orders (out_sub_mch_id, created_at)`.execute(db)
      // Orders from before are due at once.
      await sql`UPDATE orders SET next_due_at_ms = 0 WHERE state IN ('created', 'pending', 'closing')`.execute(
        db,
      )
      await sql`
        CREATE TABLE refunds (
          out_sub_mch_id varchar(32) NOT NULL,
          out_refund_no varchar(64) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          refund_fee integer NOT NULL,
          origin varchar(16) NOT NULL,
          reason varchar(64),
          caller varchar(64) NOT NULL,
          request_content ${longText},
          state varchar(16) NOT NULL,
          version integer NOT NULL,
          created_at bigint NOT NULL,
          updated_at bigint NOT NULL,
          sends integer NOT NULL,
          next_due_at_ms bigint,
          looks integer NOT NULL,
          refund_id varchar(64),
          wallet_state integer,
          PRIMARY KEY (out_sub_mch_id, out_refund_no),
          CONSTRAINT refunds_refund_fee_positive CHECK (refund_fee > 0)
        ) ${options}`.execute(db)
      await sql`CREATE INDEX refunds_order ON refunds (out_sub_mch_id, out_trade_no)`.execute(db)
      await sql`CREATE INDEX refunds_due ON refunds (out_sub_mch_id, next_due_at_ms)`.execute(db)
      await sql`
        CREATE TABLE outbox (
          id varchar(200) NOT NULL PRIMARY KEY,
          out_sub_mch_id varchar(32) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          type varchar(32) NOT NULL,
          payload ${longText} NOT NULL,
          created_at bigint NOT NULL,
          attempts integer NOT NULL,
          next_due_at_ms bigint,
          delivered_at bigint,
          last_error varchar(128)
        ) ${options}`.execute(db)
      await sql`CREATE INDEX outbox_due ON outbox (next_due_at_ms)`.execute(db)
      await sql`
        CREATE TABLE anomalies (
          id varchar(200) NOT NULL PRIMARY KEY,
          kind varchar(32) NOT NULL,
          out_sub_mch_id varchar(32) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          evidence ${longText} NOT NULL,
          first_at bigint NOT NULL,
          last_at bigint NOT NULL,
          times integer NOT NULL,
          resolved_at bigint,
          resolution varchar(255)
        ) ${options}`.execute(db)
      await sql`CREATE INDEX anomalies_open ON anomalies (resolved_at, last_at)`.execute(db)
      await sql`
        CREATE TABLE notifications (
          out_sub_mch_id varchar(32) NOT NULL,
          id varchar(64) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          received_at bigint NOT NULL,
          orphan integer NOT NULL,
          claims ${longText} NOT NULL,
          PRIMARY KEY (out_sub_mch_id, id)
        ) ${options}`.execute(db)
      await sql`CREATE INDEX notifications_orphan ON notifications (orphan, received_at)`.execute(db)
      await sql`
        CREATE TABLE counters (
          name varchar(64) NOT NULL PRIMARY KEY,
          period bigint NOT NULL,
          used bigint NOT NULL
        ) ${options}`.execute(db)
      await sql`
        CREATE TABLE marks (
          name varchar(64) NOT NULL PRIMARY KEY,
          at_ms bigint NOT NULL,
          value varchar(255) NOT NULL
        ) ${options}`.execute(db)
    },
  },
  '0003_people': {
    async up(db: Kysely<unknown>) {
      const options = sql.raw(TABLE_OPTIONS[dialect])
      for (const column of ['quote_iss varchar(64)', 'quote_jti varchar(128)']) {
        await sql`ALTER TABLE orders ADD COLUMN ${sql.raw(column)}`.execute(db)
      }
      // A quote buys once, whoever brings it and however often.
      await sql`CREATE UNIQUE INDEX orders_quote ON orders (quote_iss, quote_jti)`.execute(db)
      await sql`CREATE INDEX orders_payer ON orders (out_sub_mch_id, payer_id, state)`.execute(db)
      await sql`
        CREATE TABLE catalogue (
          out_sub_mch_id varchar(32) NOT NULL,
          sku varchar(64) NOT NULL,
          body varchar(100) NOT NULL,
          total_fee integer NOT NULL,
          quantity_max integer NOT NULL DEFAULT 1,
          active integer NOT NULL DEFAULT 1,
          PRIMARY KEY (out_sub_mch_id, sku),
          CONSTRAINT catalogue_total_fee_positive CHECK (total_fee > 0)
        ) ${options}`.execute(db)
      await sql`
        CREATE TABLE spent (
          kind varchar(64) NOT NULL,
          id varchar(128) NOT NULL,
          until_at bigint NOT NULL,
          PRIMARY KEY (kind, id)
        ) ${options}`.execute(db)
      await sql`CREATE INDEX spent_until ON spent (until_at)`.execute(db)
      await sql`
        CREATE TABLE revocations (
          id varchar(64) NOT NULL PRIMARY KEY,
          at bigint NOT NULL,
          until_at bigint NOT NULL
        ) ${options}`.execute(db)
    },
  },
  '0004_merchants': {
    async up(db: Kysely<unknown>) {
      const longText = sql.raw(LONG_TEXT[dialect])
      const options = sql.raw(TABLE_OPTIONS[dialect])
      await sql`
        CREATE TABLE merchants (
          out_sub_mch_id varchar(32) NOT NULL PRIMARY KEY,
          out_mch_id varchar(32) NOT NULL,
          out_shop_id varchar(32) NOT NULL,
          order_prefix varchar(32) NOT NULL,
          disabled_at bigint,
          version integer NOT NULL,
          changed_at bigint NOT NULL,
          sealed ${longText} NOT NULL,
          CONSTRAINT merchants_order_prefix UNIQUE (order_prefix)
        ) ${options}`.execute(db)
    },
  },
  '0005_privacy': {
    async up(db: Kysely<unknown>) {
      await sql`ALTER TABLE orders ADD COLUMN purged_at bigint`.execute(db)
      await sql`CREATE INDEX orders_purge ON orders (purged_at, updated_at)`.execute(db)
      // What belongs to an order is found by it.
      for (const table of ['outbox', 'anomalies', 'notifications']) {
        const index = `CREATE INDEX ${table}_order ON ${table} (out_sub_mch_id, out_trade_no)`
        await sql.raw(index).execute(db)
      }
    },
  },
  '0006_scenes': {
    async up(db: Kysely<unknown>) {
      await sql`ALTER TABLE orders ADD COLUMN author_code_sealed varchar(512)`.execute(db)
    },
  },
  '0007_board': {
    async up(db: Kysely<unknown>) {
      await sql`ALTER TABLE orders ADD COLUMN shipped_at bigint`.execute(db)
      for (const index of [
        'orders_state ON orders (out_sub_mch_id, state, created_at)',
        'orders_paid ON orders (out_sub_mch_id, paid_at)',
        'orders_transaction ON orders (out_sub_mch_id, transaction_id)',
        'orders_unshipped ON orders (out_sub_mch_id, trade_type, state, shipped_at, created_at)',
        'refunds_state ON refunds (out_sub_mch_id, state, updated_at)',
        'anomalies_owned ON anomalies (out_sub_mch_id, resolved_at, last_at)',
        'outbox_type ON outbox (type, next_due_at_ms)',
        ...NUMBER_INDEX[dialect],
      ]) {
        await sql`CREATE INDEX ${sql.raw(index)}`.execute(db)
      }
    },
  },
  '0008_notes': {
    async up(db: Kysely<unknown>) {
      await sql`ALTER TABLE order_events ADD COLUMN note varchar(255)`.execute(db)
    },
  },
  '0009_refund_ends': {
    async up(db: Kysely<unknown>) {
      for (const column of [
        'sent_at_ms bigint',
        'refused integer',
        'missing_at_ms bigint',
        'affirmed_at bigint',
        'ended_by varchar(64)',
      ]) {
        await sql`ALTER TABLE refunds ADD COLUMN ${sql.raw(column)}`.execute(db)
      }
    },
  },
  '0010_watchers': {
    async up(db: Kysely<unknown>) {
      // Rows from before count as not seen: half of a run's work is then the newest of them, half the oldest.
      await sql`ALTER TABLE orders ADD COLUMN seen integer NOT NULL DEFAULT 0`.execute(db)
      for (const index of [
        lookIndex(dialect, 'orders'),
        lookIndex(dialect, 'refunds'),
        'refunds_created ON refunds (out_sub_mch_id, state, created_at)',
        // For what is forgotten, a bounded number of rows at a time.
        'revocations_until ON revocations (until_at)',
        'counters_period ON counters (period)',
        'anomalies_resolved ON anomalies (resolved_at, id)',
        ...KEPT_INDEX[dialect],
        ...MARK_INDEX[dialect],
      ]) {
        await sql`CREATE INDEX ${sql.raw(index)}`.execute(db)
      }
      await sql`
        CREATE TABLE bill_windows (
          out_sub_mch_id varchar(32) NOT NULL,
          from_at bigint NOT NULL,
          to_at bigint NOT NULL,
          tries integer NOT NULL,
          next_due_at_ms bigint NOT NULL,
          PRIMARY KEY (out_sub_mch_id, from_at)
        ) ${sql.raw(TABLE_OPTIONS[dialect])}`.execute(db)
      await sql`CREATE INDEX bill_windows_due ON bill_windows (next_due_at_ms)`.execute(db)
      await sql`CREATE INDEX bill_windows_of ON bill_windows (out_sub_mch_id, next_due_at_ms)`.execute(db)
    },
  },
})
