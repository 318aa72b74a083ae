import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** Prints what PostgreSQL's JDBC driver makes of a server, one "topic: value" a line. */
public class DriverChecks {
    private static String url;

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        for (String mode : new String[] {"simple", "extended"}) {
            try (Connection connection = connect("preferQueryMode", mode)) {
                queries(mode, connection);
            }
        }
        try (Connection connection = connect("prepareThreshold", "1")) {
            prepared(connection);
            portals(connection);
            copy(connection);
            errors(connection);
            cancel(connection);
            metadata(connection.getMetaData());
        }
    }

    private static Connection connect(String name, String value) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "materialize");
        properties.setProperty(name, value);
        return DriverManager.getConnection(url, properties);
    }

    private static void say(String topic, Object value) {
        System.out.println(topic + ": " + value);
    }

    private static void run(Connection connection, String... statements) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (String each : statements) {
                statement.execute(each);
            }
        }
    }

    private static void queries(String mode, Connection connection) throws SQLException {
        run(connection, "DROP TABLE IF EXISTS " + mode, "CREATE TABLE " + mode + " (a int, b text)");
        try (Statement statement = connection.createStatement()) {
            say(mode + " insert", statement.executeUpdate(
                "INSERT INTO " + mode + " VALUES (1, 'x'), (2, NULL), (3, 'z')"));
            ResultSet rows = statement.executeQuery("SELECT a, b FROM " + mode + " ORDER BY a");
            List<String> seen = new ArrayList<>();
            while (rows.next()) {
                seen.add(rows.getInt(1) + "=" + rows.getString("b"));
            }
            say(mode + " rows", seen);
        }
        connection.setAutoCommit(false);
        run(connection, "INSERT INTO " + mode + " VALUES (4, 'gone')");
        connection.rollback();
        run(connection, "INSERT INTO " + mode + " VALUES (5, 'kept')");
        connection.commit();
        connection.setAutoCommit(true);
        try (PreparedStatement statement = connection.prepareStatement(
                "SELECT count(*), max(a) FROM " + mode + " WHERE a > ?")) {
            statement.setInt(1, 1);
            ResultSet rows = statement.executeQuery();
            rows.next();
            say(mode + " parameter", rows.getLong(1) + " " + rows.getInt(2));
        }
    }

    /** With a threshold of 1 the driver names the statement at once and asks for binary results. */
    private static void prepared(Connection connection) throws SQLException {
        String query = "SELECT ?::int2, ?::int4, ?::int8, ?::float4, ?::float8, ?::numeric, ?::bool,"
            + " ?::text, ?::date, ?::timestamp, ?::timestamptz, ?::uuid, ?::bytea, ?::int4[]";
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            for (int round = 0; round < 3; round++) {
                statement.setShort(1, (short) -7);
                statement.setInt(2, 1 << 30);
                statement.setLong(3, 1L << 40);
                statement.setFloat(4, 1.5f);
                statement.setDouble(5, -2.25);
                statement.setBigDecimal(6, new BigDecimal("12345.678"));
                statement.setBoolean(7, true);
                statement.setString(8, "héllo");
                statement.setObject(9, LocalDate.of(2024, 2, 29));
                statement.setObject(10, LocalDate.of(2024, 2, 29).atTime(12, 30, 15));
                statement.setObject(11, java.time.OffsetDateTime.parse("2024-02-29T12:30:15+02:00"));
                statement.setObject(12, java.util.UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"));
                statement.setBytes(13, new byte[] {0, 1, (byte) 255});
                statement.setArray(14, connection.createArrayOf("int4", new Integer[] {1, null, 3}));
                ResultSet rows = statement.executeQuery();
                rows.next();
                List<Object> seen = new ArrayList<>();
                for (int column = 1; column <= 8; column++) {
                    seen.add(rows.getObject(column));
                }
                seen.add(rows.getObject(9, LocalDate.class));
                seen.add(rows.getObject(10, java.time.LocalDateTime.class));
                seen.add(rows.getObject(11, java.time.OffsetDateTime.class).toInstant());
                seen.add(rows.getObject(12));
                seen.add(java.util.Arrays.toString(rows.getBytes(13)));
                seen.add(java.util.Arrays.toString((Object[]) rows.getArray(14).getArray()));
                say("prepared " + round, seen);
            }
            ResultSetMetaData described = statement.getMetaData();
            say("prepared types", described.getColumnTypeName(2) + " " + described.getColumnTypeName(6)
                + " " + (described.getColumnType(10) == Types.TIMESTAMP));
            say("prepared parameters", statement.getParameterMetaData().getParameterCount());
        }
        run(connection, "CREATE TABLE batched (a int, b text)");
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO batched VALUES (?, ?)")) {
            for (int n = 0; n < 50; n++) {
                statement.setInt(1, n);
                statement.setString(2, "row " + n);
                statement.addBatch();
            }
            say("batch", java.util.Arrays.stream(statement.executeBatch()).sum());
        }
    }

    /** Inside a transaction a fetch size makes the driver suspend the portal again and again. */
    private static void portals(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            ResultSet rows = statement.executeQuery("SELECT n FROM generate_series(1, 100) AS n ORDER BY n");
            long sum = 0;
            int count = 0;
            while (rows.next()) {
                sum += rows.getInt(1);
                count++;
            }
            say("portal", count + " " + sum);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    private static void copy(Connection connection) throws Exception {
        run(connection, "CREATE TABLE copied (a int, b text)");
        CopyManager manager = connection.unwrap(PGConnection.class).getCopyAPI();
        say("copy in", manager.copyIn("COPY copied FROM STDIN", new StringReader("1\tone\n2\t\\N\n")));
        say("copy in csv", manager.copyIn("COPY copied FROM STDIN (FORMAT CSV)", new StringReader("3,\"a,b\"\n")));
        java.io.StringWriter out = new java.io.StringWriter();
        say("copy out", manager.copyOut("COPY (SELECT a, b FROM copied ORDER BY a) TO STDOUT", out));
        say("copied", out.toString().replace("\n", "|").replace("\t", ","));
    }

    private static void errors(Connection connection) throws SQLException {
        try {
            run(connection, "SELECT nothing FROM copied");
        } catch (SQLException error) {
            say("error", error.getSQLState());
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT 1 / ?::int")) {
            statement.setInt(1, 0);
            statement.executeQuery();
        } catch (SQLException error) {
            say("division", error.getSQLState());
        }
        run(connection, "SELECT 1");
    }

    private static void cancel(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            CompletableFuture<String> ended = CompletableFuture.supplyAsync(() -> {
                try {
                    ResultSet rows = statement.executeQuery("SUBSCRIBE (SELECT a FROM copied)");
                    while (rows.next()) { }
                    return "ended by itself";
                } catch (SQLException error) {
                    return error.getSQLState();
                }
            });
            while (!ended.isDone()) {
                statement.cancel();
                Thread.sleep(20);
            }
            say("cancel", ended.get());
        }
        run(connection, "SELECT 1");
    }

    private static void metadata(DatabaseMetaData meta) throws SQLException {
        say("product", meta.getDatabaseProductName());
        Connection connection = meta.getConnection();
        run(connection, "CREATE TABLE described (id int NOT NULL, name text, price numeric(10,2))",
            "CREATE VIEW described_view AS SELECT id FROM described",
            "CREATE MATERIALIZED VIEW described_mv AS SELECT count(*) AS c FROM described",
            "CREATE INDEX described_idx ON described (id)");
        say("tables", list(meta.getTables(null, "public", "described%", null), "TABLE_NAME", "TABLE_TYPE"));
        say("only tables", list(meta.getTables(null, "public", "described%", new String[] {"TABLE"}), "TABLE_NAME"));
        say("columns", list(meta.getColumns(null, "public", "described", null),
            "COLUMN_NAME", "TYPE_NAME", "DATA_TYPE", "IS_NULLABLE", "ORDINAL_POSITION"));
        say("keys", list(meta.getPrimaryKeys(null, "public", "described"), "COLUMN_NAME"));
        say("schemas", list(meta.getSchemas(), "TABLE_SCHEM").contains("public"));
        say("catalogs", list(meta.getCatalogs(), "TABLE_CAT").contains("materialize"));
        say("table types", list(meta.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
        String types = list(meta.getTypeInfo(), "TYPE_NAME", "DATA_TYPE").toString();
        say("int4", types.contains("int4/" + Types.INTEGER));
        say("text", types.contains("text/" + Types.VARCHAR));
        say("functions", list(meta.getFunctions(null, null, "no_such_%"), "FUNCTION_NAME"));
        keys(meta);
        say("abs", list(meta.getFunctions(null, "pg_catalog", "abs"), "FUNCTION_NAME").size());
        say("procedures", list(meta.getProcedures(null, "pg_catalog", "abs"), "PROCEDURE_NAME").size());
        say("privileges", list(meta.getTablePrivileges(null, "public", "keyed"),
            "GRANTEE", "PRIVILEGE", "IS_GRANTABLE"));
        say("version columns", list(meta.getVersionColumns(null, "public", "keyed"), "COLUMN_NAME"));
    }

    private static void keys(DatabaseMetaData meta) throws SQLException {
        run(meta.getConnection(), "CREATE TABLE keyed (a int, b text, c int UNIQUE, PRIMARY KEY (b, a))",
            "CREATE INDEX keyed_idx ON keyed (c, (a + 1))");
        say("primary", list(meta.getPrimaryKeys(null, "public", "keyed"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"));
        say("best row", list(meta.getBestRowIdentifier(null, "public", "keyed",
            DatabaseMetaData.bestRowSession, true), "COLUMN_NAME", "TYPE_NAME"));
        String[] index = {"INDEX_NAME", "NON_UNIQUE", "ORDINAL_POSITION", "COLUMN_NAME"};
        say("indexes", list(meta.getIndexInfo(null, "public", "keyed", false, false), index));
        say("unique indexes", list(meta.getIndexInfo(null, "public", "keyed", true, false), index));
        say("imported", list(meta.getImportedKeys(null, "public", "keyed"), "FK_NAME"));
        say("exported", list(meta.getExportedKeys(null, "public", "keyed"), "FK_NAME"));
        say("cross", list(meta.getCrossReference(null, "public", "keyed", null, "public", "described"), "FK_NAME"));
    }

    private static List<String> list(ResultSet rows, String... columns) throws SQLException {
        List<String> all = new ArrayList<>();
        while (rows.next()) {
            List<String> row = new ArrayList<>();
            for (String column : columns) {
                row.add(String.valueOf(rows.getObject(column)));
            }
            all.add(String.join("/", row));
        }
        return all;
    }
}
