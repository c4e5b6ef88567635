CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" TEMPLATE template0;
REVOKE ALL ON DATABASE :"database", postgres, template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"role";
